//! Users of MySQL, with passwords that nobody has to know: those of Vitess in every mysqld, and one of the gateways.

use std::collections::BTreeMap;

use serde_json::json;

use crate::cluster::names::Labels;
use crate::pki::Content;

/// What mysqld runs once, on a volume that is new.
pub(crate) const INIT: &str = "init_db.sql";
/// What Vitess's programs log in with.
pub(crate) const CREDENTIALS: &str = "credentials.json";
/// Whom the gateways know.
pub(crate) const GATE_USERS: &str = "users.json";
/// The password by which a new tablet copies the primary, by itself: programs take it as a flag.
pub(crate) const CLONE_PASSWORD: &str = "clone-password";
/// By which a new tablet copies the primary.
pub(crate) const CLONE_USER: &str = "vt_clone";
/// The user of the gateways.
const APP: &str = "app";
/// Bytes of a password: 128 bits of chance. As hexadecimal digits that is the longest that replication takes.
const PASSWORD_BYTES: usize = 16;

/// Where a user may come from, and what it may do.
struct User {
    name: &'static str,
    host: &'static str,
    grants: &'static [&'static str],
}

/// What queries need, and changes of the schema.
const ALL_BUT_ADMIN: &str = "SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, RELOAD, PROCESS, FILE, REFERENCES, INDEX, \
     ALTER, SHOW DATABASES, CREATE TEMPORARY TABLES, LOCK TABLES, EXECUTE, REPLICATION SLAVE, REPLICATION CLIENT, \
     CREATE VIEW, SHOW VIEW, CREATE ROUTINE, ALTER ROUTINE, CREATE USER, EVENT, TRIGGER ON *.*";
/// The same without replication.
const QUERIES: &str = "SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, RELOAD, PROCESS, FILE, REFERENCES, INDEX, ALTER, \
     SHOW DATABASES, CREATE TEMPORARY TABLES, LOCK TABLES, EXECUTE, REPLICATION CLIENT, CREATE VIEW, SHOW VIEW, CREATE \
     ROUTINE, ALTER ROUTINE, CREATE USER, EVENT, TRIGGER ON *.*";

/// The users that Vitess 24 expects, as its own `init_db.sql` has them.
const USERS: [User; 8] = [
    User {
        name: "vt_dba",
        host: "localhost",
        grants: &["ALL ON *.*", "GRANT OPTION ON *.*"],
    },
    User {
        name: "vt_app",
        host: "localhost",
        grants: &[QUERIES],
    },
    User {
        name: "vt_appdebug",
        host: "localhost",
        grants: &["SELECT, SHOW DATABASES, PROCESS ON *.*"],
    },
    User {
        name: "vt_allprivs",
        host: "localhost",
        grants: &[ALL_BUT_ADMIN],
    },
    User {
        name: "vt_repl",
        host: "%",
        grants: &["REPLICATION SLAVE ON *.*"],
    },
    User {
        name: "vt_filtered",
        host: "localhost",
        grants: &[ALL_BUT_ADMIN],
    },
    User {
        name: "vt_monitoring",
        host: "localhost",
        grants: &[
            "SELECT, PROCESS, SUPER, REPLICATION CLIENT, RELOAD ON *.*",
            "SELECT, UPDATE, DELETE, DROP ON performance_schema.*",
        ],
    },
    User {
        name: CLONE_USER,
        host: "%",
        grants: &["BACKUP_ADMIN ON *.*"],
    },
];

/// Chance could not be had from the system.
#[derive(Debug, thiserror::Error)]
#[error("the system gives no random bytes for passwords: {0}")]
pub(crate) struct NoChance(getrandom::Error);

/// New passwords for the users of every mysqld, as a Secret's content.
pub(crate) fn mysql() -> Result<Content, NoChance> {
    let mut passwords = Vec::new();
    for user in &USERS {
        passwords.push((user, password()?));
    }
    Ok(mysql_with(&passwords))
}

fn mysql_with(passwords: &[(&User, String)]) -> Content {
    let mut sql = vec![
        "# Run once, by mysqld on a new volume.".to_owned(),
        "SET @original_super_read_only=IF(@@global.super_read_only=1, 'ON', 'OFF');".to_owned(),
        "SET GLOBAL super_read_only='OFF';".to_owned(),
        // On a replica these would be transactions that its primary does not have.
        "SET sql_log_bin = 0;".to_owned(),
        "DROP USER IF EXISTS ''@'%', ''@'localhost', 'root'@'%';".to_owned(),
    ];
    for (user, password) in passwords {
        let User { name, host, grants } = user;
        sql.push(format!(
            "CREATE USER '{name}'@'{host}' IDENTIFIED BY '{password}';"
        ));
        for grant in *grants {
            sql.push(format!("GRANT {grant} TO '{name}'@'{host}';"));
        }
    }
    sql.push("FLUSH PRIVILEGES;".to_owned());
    sql.push("SET GLOBAL super_read_only=IFNULL(@original_super_read_only, 'ON');".to_owned());
    let of_users: BTreeMap<&str, [&str; 1]> = passwords
        .iter()
        .map(|(user, password)| (user.name, [&**password]))
        .collect();
    let of_clone = of_users.get(CLONE_USER).map_or("", |[it]| it).to_owned();
    content([
        (INIT, format!("{}\n", sql.join("\n"))),
        (CREDENTIALS, json!(of_users).to_string()),
        (CLONE_PASSWORD, of_clone),
    ])
}

/// A user of the gateways with a new password, as a Secret's content.
pub(crate) fn app() -> Result<Content, NoChance> {
    let password = password()?;
    let users = json!({APP: [{"Password": password, "UserData": APP}]});
    Ok(content([
        ("username", APP.to_owned()),
        ("password", password),
        (GATE_USERS, users.to_string()),
    ]))
}

fn content<const N: usize>(data: [(&str, String); N]) -> Content {
    Content {
        data: data.map(|(key, value)| (key.to_owned(), value)).into(),
        annotations: Labels::new(),
    }
}

fn password() -> Result<String, NoChance> {
    let mut bytes = [0; PASSWORD_BYTES];
    getrandom::fill(&mut bytes).map_err(NoChance)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_user_of_vitess_has_a_password() {
        let passwords: Vec<_> = USERS
            .iter()
            .map(|user| (user, format!("of-{}", user.name)))
            .collect();
        let Content { data, .. } = mysql_with(&passwords);
        insta::assert_snapshot!(data[INIT]);
        insta::assert_snapshot!(data[CREDENTIALS]);
        assert_eq!(data[CLONE_PASSWORD], "of-vt_clone");
    }

    #[test]
    fn passwords_are_new_each_time_and_fit_replication() {
        let (one, other) = (password().unwrap(), password().unwrap());
        assert_ne!(one, other);
        assert_eq!(one.len(), 32);
        let app = app().unwrap();
        assert!(app.data[GATE_USERS].contains(&app.data["password"]));
    }
}
