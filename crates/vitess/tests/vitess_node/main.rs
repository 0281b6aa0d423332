//! A whole cluster of Vitess on a real node, from its object to a query, and after its primary has died. Needs root, and
//! the parts of beds `node` and `vitess`. With `FORESHARD_E2E_SMOKE=1` parts of tablets that die one by one, hands that meddle,
//! and another backup and another cluster that begin with a backup are left out.
#![allow(
    clippy::unwrap_used,
    clippy::unwrap_in_result,
    clippy::panic,
    reason = "helpers of tests, which clippy does not see as such"
)]

use std::time::Instant;

use foreshard_testbed::Node;
use serde_json::Value;

use crate::stage::*;

mod backups;
mod faults;
mod processes;
mod stage;

/// Has a row written, and says how long that took.
fn write_again(node: &Node, at: &str, row: u32, begun: Instant) {
    let insert = format!("insert into kept values ({row}, 'still')");
    eventually("writes are taken again", FAILOVER_LIMIT, || {
        match query(node, at, &insert) {
            // A write of which nobody was told that it was taken.
            Err(said) if said.contains("Duplicate entry") => Ok(String::new()),
            said => said,
        }
    });
    eprintln!("written again after {} s", begun.elapsed().as_secs());
}

/// A primary's pod dies. Who comes first is primary: its new pod, as the shard's record still names it, or another tablet.
fn comes_back(node: &Node) {
    let (dead, begun) = (primary(node).unwrap(), Instant::now());
    kill(node, &dead);
    write_again(node, &tablets(node)[0], 2, begun);
    expect_ready(node, "the dead tablet comes back");
    let is_same = primary(node) == Some(dead);
    eprintln!(
        "four tablets again after {} s, the same primary: {is_same}",
        begun.elapsed().as_secs()
    );
}

/// A primary dies and no pod comes for it: another tablet is primary, and remains it.
fn stays_dead(node: &Node) {
    let all = tablets(node);
    let dead = eventually("a primary serves", LIMIT, || serving_primary(node, &all[0]));
    let at = all.iter().find(|it| **it != dead).unwrap();
    annotate(node, "foreshard.dev/paused=true");
    let begun = Instant::now();
    kill(node, &dead);
    write_again(node, at, 3, begun);
    let pod = get(node, &format!("{CORE}/pods/{dead}"));
    assert!(pod["metadata"].is_null(), "a paused cluster is left alone");
    annotate(node, "foreshard.dev/paused-");
    expect_ready(node, "the dead tablet comes back once more");
    let now = eventually("a primary serves", LIMIT, || serving_primary(node, at));
    assert_ne!(now, dead, "another one is primary, and remains it");
    eventually("the shard's status says so", LIMIT, || {
        let told = primary(node);
        (told.as_ref() == Some(&now)).then_some(()).ok_or(told)
    });
    eprintln!("four tablets again after {} s", begun.elapsed().as_secs());
    let words = "select group_concat(word order by id) from kept";
    let said = eventually("all is there", LIMIT, || query(node, at, words));
    assert_eq!(said, "no,still,still");
}

/// The pool is scaled to four, one more than semi-sync needs: the new one copies the primary.
fn one_more(node: &Node) {
    let begun = Instant::now();
    let before = tablets(node);
    scale(node, 4);
    let vitess = expect_tablets(node, "4/4");
    assert!(is_true(&vitess, "Ready"));
    eprintln!("a fourth one after {} s", begun.elapsed().as_secs());
    let all = tablets(node);
    let new = all.iter().find(|it| !before.contains(it)).unwrap();
    // What was there before it, and what came after it.
    let own = |statement: &str| own_mysqld(node, new, statement);
    let copied = "select concat(state, ' ', error_no) from performance_schema.clone_status";
    assert_eq!(own(copied).unwrap(), "Completed 0");
    let later = "update kept set word = 'no' where id = 1";
    eventually("a row is written", LIMIT, || query(node, new, later));
    eventually("it follows the primary", LIMIT, || {
        let word = own("select word from vt_commerce.kept where id = 1");
        (word.as_deref() == Ok("no")).then_some(()).ok_or(word)
    });
    let pools = get(node, &format!("{GROUP}/tabletpools"));
    let took = &pools["items"][0]["status"]["leadTimeSeconds"];
    assert!(took.is_u64(), "{took}");
}

/// The pool is scaled to three while rows are written.
fn one_leaves(node: &Node) -> String {
    let begun = Instant::now();
    scale(node, 3);
    let mut written = 3;
    let left = eventually("one tablet has left", LIMIT, || {
        let all = tablets(node);
        let at = all.first().ok_or("no tablet")?;
        let insert = format!("insert into kept values ({}, 'more')", written + 1);
        match query(node, at, &insert) {
            Ok(_) => written += 1,
            // It may have been taken all the same.
            Err(said) if said.contains("Duplicate entry") => written += 1,
            Err(said) => eprintln!("row {}: {said}", written + 1),
        }
        let known = query(node, at, "show vitess_tablets").unwrap_or_default();
        let known = known.lines().count();
        ((all.len(), known) == (3, 3)).then_some(all).ok_or("four")
    });
    eprintln!(
        "one left after {} s, {written} rows written",
        begun.elapsed().as_secs()
    );
    let count = "select count(*) from kept";
    let said = eventually("all rows are there", LIMIT, || query(node, &left[0], count));
    assert_eq!(said, written.to_string());
    let vitess = expect_ready(node, "three are what is wanted");
    assert_eq!(vitess["status"]["tabletsReady"], "3/3");
    said
}

#[test]
fn an_object_becomes_a_cluster_that_answers_and_outlives_its_primary() {
    let Some(node) = node() else { return };
    let runtime = operate(&node);
    let vitess: Value = serde_saphyr::from_str(EXAMPLE).unwrap();
    let begun = Instant::now();
    let vitesses = format!("{GROUP}/vitesses");
    node.plane().api().post(&vitesses, &vitess).unwrap();
    let ready = expect_ready(&node, "the cluster serves");
    eprintln!("ready after {} s", begun.elapsed().as_secs());
    assert_eq!(ready["status"]["tabletsReady"], "3/3");
    assert_eq!(ready["status"]["initialized"], true);
    let all = tablets(&node);
    assert_eq!(all.len(), 3, "{all:?}");
    let replica = all[0].clone();
    let made = "create table kept (id bigint primary key, word varchar(20))";
    eventually("a table is made", LIMIT, || query(&node, &replica, made));
    let insert = "insert into kept values (1, 'yes')";
    eventually("a row is written", LIMIT, || query(&node, &replica, insert));
    let select = "select word from kept where id = 1";
    let said = eventually("it is read", LIMIT, || query(&node, &replica, select));
    assert_eq!(said, "yes");
    eprintln!("a row was read after {} s", begun.elapsed().as_secs());

    one_more(&node);
    backups::first(&node);
    comes_back(&node);
    stays_dead(&node);
    let rows = one_leaves(&node);
    backups::another_tablet(&node, &rows);
    // The short part ends here.
    if std::env::var_os("FORESHARD_E2E_SMOKE").is_none() {
        let rows = faults::parts_of_a_primary_die(&node, rows.parse().unwrap()).to_string();
        faults::hands_meddle(&node);
        faults::no_such_image(&node);
        faults::no_storage_class(&node);
        backups::another_backup(&node);
        backups::another_cluster(&node, &rows);
    }
    runtime.shutdown_timeout(LIMIT);
}
