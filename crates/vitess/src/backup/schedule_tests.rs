use super::*;

const MADE: i64 = 1_790_000_000;
const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;

fn job(made: i64, state: State) -> JobSeen {
    JobSeen {
        name: "example-backup".to_owned(),
        made,
        begins: Begins::Clone,
        state,
    }
}

fn seen(now: i64, last: Option<i64>, jobs: Vec<JobSeen>) -> Seen {
    Seen {
        now,
        shard_made: MADE,
        last,
        primary_made: Some(MADE),
        listed: None,
        jobs,
    }
}

#[test]
fn the_first_backup_comes_with_the_shard_and_the_others_as_scheduled() {
    let failed = |at| State::Failed(at, "why".to_owned());
    let hourly = parse("0 * * * *").unwrap();
    // MADE is 13 minutes past an hour.
    let table = [
        (seen(MADE, None, vec![]), None, Some(MADE)),
        (
            seen(MADE + 9, None, vec![job(MADE, State::Runs)]),
            None,
            None,
        ),
        (
            seen(MADE + 99, None, vec![job(MADE, State::Done(MADE + 60))]),
            None,
            None,
        ),
        (seen(MADE + DAY, Some(MADE + 60), vec![]), None, None),
        // One that failed is tried again, for the same moment until that is begun.
        (
            seen(MADE + 99, None, vec![job(MADE, failed(MADE + 90))]),
            None,
            None,
        ),
        (
            seen(MADE + 2000, None, vec![job(MADE, failed(MADE + 90))]),
            None,
            Some(MADE + 90 + RETRY_SECONDS),
        ),
        (
            seen(MADE + HOUR, Some(MADE + 60), vec![]),
            Some(&hourly),
            Some(1_790_002_800),
        ),
        (
            seen(MADE + 99, Some(MADE + 60), vec![]),
            Some(&hourly),
            None,
        ),
        // Those that were missed are not made up for one by one.
        (
            seen(
                MADE + DAY,
                Some(MADE + 60),
                vec![job(MADE + DAY - 9, State::Done(MADE + DAY - 1))],
            ),
            Some(&hourly),
            None,
        ),
    ];
    for (seen, schedule, expected) in table {
        assert_eq!(seen.due(schedule), expected, "{seen:?}");
    }
}

#[test]
fn what_is_old_or_another_s_is_not_begun_with() {
    let with = |now: i64, last: Option<i64>, listed: Result<&[i64], &str>| Seen {
        listed: Some(listed.map(<[i64]>::to_vec).map_err(str::to_owned)),
        ..seen(now, last, vec![])
    };
    let now = MADE + 10 * DAY;
    let last = Some(now - HOUR);
    let table = [
        (with(now, last, Ok(&[now - 2 * HOUR])), Begins::Backup),
        // Not finished yet, as far as anybody knows.
        (with(now, last, Ok(&[now - HOUR / 2])), Begins::Clone),
        (with(now, None, Ok(&[now - 2 * HOUR])), Begins::Clone),
        // Of a cluster that had this name before.
        (with(now, last, Ok(&[MADE - 1])), Begins::Clone),
        // The primary may not have the logs since then any more.
        (with(now, last, Ok(&[now - 3 * DAY])), Begins::Clone),
        (with(now, last, Err("no answer")), Begins::Clone),
        (seen(now, last, vec![]), Begins::Clone),
        // Its volume came later than the backup: it was copied, and has no logs from before.
        (
            Seen {
                primary_made: Some(now - HOUR),
                ..with(now, last, Ok(&[now - 2 * HOUR]))
            },
            Begins::Clone,
        ),
        // The last one that began so was given up.
        (
            Seen {
                jobs: vec![JobSeen {
                    begins: Begins::Backup,
                    ..job(now - 99, State::Failed(now - 9, String::new()))
                }],
                ..with(now, last, Ok(&[now - 2 * HOUR]))
            },
            Begins::Clone,
        ),
    ];
    for (seen, expected) in table {
        assert_eq!(seen.begins(), expected, "{seen:?}");
    }
}

#[test]
fn each_finding_names_what_is_wrong_and_what_is_done() {
    let now = MADE + DAY;
    let gone = Seen {
        listed: Some(Ok(vec![MADE - 5])),
        ..seen(now, Some(MADE + 60), vec![])
    };
    let again = MADE + 60 + RETRY_SECONDS;
    assert_eq!(gone.due(None), Some(again), "another one is made");
    let failed = State::Failed(
        MADE,
        "it has reached the specified backoff limit".to_owned(),
    );
    let all = [
        seen(now, None, vec![]),
        seen(now, Some(MADE + 60), vec![job(MADE, failed.clone())]),
        // It is told while it is tried again.
        seen(
            now,
            Some(MADE + 60),
            vec![job(MADE, failed), job(MADE + 99, State::Runs)],
        ),
        seen(now, Some(MADE + 60), vec![job(MADE + HOUR, State::Runs)]),
        seen(now, Some(now - HOUR), vec![]),
        seen(now, Some(MADE + 60), vec![]),
        gone,
        Seen {
            listed: Some(Err("vtctld does not answer.".to_owned())),
            ..seen(now, Some(MADE + 60), vec![])
        },
    ];
    let told: Vec<_> = all
        .iter()
        .map(|it| it.finding(Some(&parse("0 0 * * *").unwrap())))
        .map(|it| (it.reason, it.holds, it.message))
        .collect();
    insta::assert_yaml_snapshot!(told);
}

#[test]
fn a_schedule_that_is_none_is_refused_with_its_field() {
    for wrong in ["61 * * * *", "0 25 * * *", "0 0 32 * *", "0 0 * * Frog"] {
        let said = parse(wrong).unwrap_err();
        assert!(said.starts_with(&format!("{wrong:?}: ")), "{said}");
    }
    parse("*/15 1-5 * JAN-MAR Mon,Wed").unwrap();
}
