//! MySQL: its configuration on a machine where many of them run, and its client.

use std::path::Path;

/// What makes a mysqld small: 220 to 290 MiB of memory instead of 610. For tests only: a crash of the machine, though
/// not of mysqld, may lose transactions.
///
/// `root` is the folder of the part `mysql`.
pub(crate) fn small_configuration(root: &Path) -> String {
    let usr = root.join("root/usr");
    let usr = usr.display();
    format!(
        "bind-address = 127.0.0.1\n\
         innodb_buffer_pool_size = 64M\n\
         innodb_redo_log_capacity = 64M\n\
         innodb_log_buffer_size = 4M\n\
         innodb_flush_log_at_trx_commit = 2\n\
         sync_binlog = 0\n\
         table_open_cache = 256\n\
         table_definition_cache = 400\n\
         max_connections = 200\n\
         performance_schema = OFF\n\
         plugin-dir = {usr}/lib/mysql/plugin\n\
         lc-messages-dir = {usr}/share/mysql\n\
         character-sets-dir = {usr}/share/mysql/charsets\n"
    )
}

/// The command that talks to vtgate, or a mysqld, on a port of this machine as any user; a database may follow.
///
/// `root` is the folder of the part `mysql`.
pub(crate) fn client(root: &Path, port: u16) -> String {
    let root = root.display();
    // vtgate asks for a way to log in that MySQL has as a plugin only.
    format!(
        "{root}/bin/mysql --no-defaults --plugin-dir={root}/root/usr/lib/mysql/plugin -h 127.0.0.1 -P {port} -u user"
    )
}
