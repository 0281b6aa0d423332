//! Beds of harmless programs: what starts, waits, breaks and ends, without any of the real parts.
#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests, which clippy does not see as such"
)]

mod machine;

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use foreshard_testbed::{Bed, BedError, Identity, PartSpec, Resource, RunAs, guard, home};
use machine::Snapshot;

const LIMIT: Duration = Duration::from_secs(20);

fn shell(name: &str, script: &str) -> PartSpec {
    PartSpec::new(name, "/bin/sh").args(["-c", script])
}

/// A condition: the part's log holds the text.
fn logged(log: &Path, text: &str) -> impl FnMut() -> Result<(), String> {
    let (log, text) = (log.to_owned(), text.to_owned());
    move || {
        let seen = std::fs::read_to_string(&log).unwrap_or_default();
        seen.contains(&text).then_some(()).ok_or(seen)
    }
}

#[test]
fn a_bed_ends_with_all_that_its_parts_started() {
    let mut bed = Bed::unique("plain").unwrap();
    let folder = bed.folder().to_owned();
    // A child in a session of its own, whose parent is gone, and which hears no request to end.
    let script =
        "setsid sh -c 'trap \"\" TERM; echo child $$; while :; do sleep 1; done' & echo up; wait";
    bed.spawn(shell("parent", script)).unwrap();
    let log = bed.log("parent").unwrap();
    bed.wait_until("parent", "starting a child", LIMIT, logged(&log, "child "))
        .unwrap();
    let text = std::fs::read_to_string(&log).unwrap();
    let child = text
        .lines()
        .find_map(|line| line.strip_prefix("child ")?.parse().ok())
        .unwrap();
    let child = Identity::of(child).unwrap();
    let parent = bed.process("parent").unwrap();
    assert!(parent.is_alive() && child.is_alive());
    bed.down().unwrap();
    assert!(!parent.is_alive() && !child.is_alive());
    assert!(!folder.exists());
}

#[test]
fn a_bed_ends_with_a_panic() {
    let bed = Bed::unique("panic").unwrap();
    let folder = bed.folder().to_owned();
    let end = std::thread::spawn(move || {
        let _bed = bed;
        panic!("a test that fails");
    });
    assert!(end.join().is_err());
    assert!(!folder.exists());
}

#[test]
fn a_part_that_dies_is_reported_with_its_last_words() {
    let mut bed = Bed::unique("dying").unwrap();
    bed.spawn(shell("mayfly", "echo the disk is on fire >&2; exit 3"))
        .unwrap();
    let never = || Err("not ready".to_owned());
    let error = bed
        .wait_until("mayfly", "answering", LIMIT, never)
        .unwrap_err();
    let shown = error.to_string();
    assert!(
        shown.contains("mayfly ended before answering (exit status: 3)"),
        "{shown}"
    );
    assert!(shown.ends_with("    the disk is on fire"), "{shown}");
}

#[test]
fn a_part_that_is_late_is_reported_with_what_was_seen() {
    let mut bed = Bed::unique("late").unwrap();
    bed.spawn(shell("sloth", "echo thinking; sleep 600"))
        .unwrap();
    let log = bed.log("sloth").unwrap();
    bed.wait_until("sloth", "thinking", LIMIT, logged(&log, "thinking"))
        .unwrap();
    let never = || Err("connection refused".to_owned());
    let error = bed
        .wait_until("sloth", "answering", Duration::ZERO, never)
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "sloth: answering took more than 0 s (last seen: connection refused); its log ends:\n    thinking"
    );
}

#[test]
fn one_time_runs_fail_with_their_log_and_end_at_their_limit() {
    let mut bed = Bed::unique("once").unwrap();
    bed.run(shell("fine", "true"), LIMIT).unwrap();
    let error = bed.run(shell("bad", "echo no; false"), LIMIT).unwrap_err();
    assert!(
        matches!(&error, BedError::Ended { log, .. } if log.ends_with("no")),
        "{error}"
    );
    let slow = shell("slow", "sleep 600");
    let error = bed.run(slow, Duration::from_millis(10)).unwrap_err();
    assert!(matches!(error, BedError::Late { .. }), "{error}");
}

#[test]
fn the_runners_environment_stays_outside() {
    let mut bed = Bed::unique("env").unwrap();
    let spec = shell("env", "env").env("ASKED_FOR", "yes");
    bed.run(spec, LIMIT).unwrap();
    let seen = std::fs::read_to_string(bed.folder().join("log/env.log")).unwrap();
    let mut names: Vec<&str> = seen
        .lines()
        .filter_map(|line| Some(line.split_once('=')?.0))
        // The shell's own.
        .filter(|name| !["PWD", "OLDPWD", "SHLVL", "_"].contains(name))
        .collect();
    names.sort_unstable();
    let expected = [
        "ASKED_FOR",
        "FORESHARD_TESTBED_MARK",
        "HOME",
        "PATH",
        "TMPDIR",
    ];
    assert_eq!(names, expected);
}

#[test]
fn ports_are_free_remembered_and_not_another_beds() {
    let mut one = Bed::unique("ports").unwrap();
    let mut other = Bed::unique("ports").unwrap();
    let port = one.port("api").unwrap();
    assert_eq!(one.port("api").unwrap(), port);
    assert_ne!(one.port("metrics").unwrap(), port);
    assert_ne!(other.port("api").unwrap(), port);

    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = listener.local_addr().unwrap().port();
    let error = one.claim_port("web", taken).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "port {taken} for web is taken: end what listens there, or leave the port out to have a free one chosen"
        )
    );
}

#[test]
fn parts_are_paused_killed_and_restarted() {
    let mut bed = Bed::unique("faults").unwrap();
    bed.spawn(shell("a", "echo up; while :; do sleep 0.01; done"))
        .unwrap();
    let state = |process: Identity| {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", process.pid)).unwrap();
        let state = stat.rsplit_once(") ").unwrap().1.chars().next().unwrap();
        if state == 'T' {
            Ok(())
        } else {
            Err(state.to_string())
        }
    };
    let log = bed.log("a").unwrap();
    bed.wait_until("a", "being up", LIMIT, logged(&log, "up\n"))
        .unwrap();
    let first = bed.process("a").unwrap();
    bed.pause("a").unwrap();
    bed.wait_until("a", "standing still", LIMIT, || state(first))
        .unwrap();
    bed.resume("a").unwrap();
    bed.wait_until("a", "going on", LIMIT, || match state(first) {
        Ok(()) => Err("still stopped".to_owned()),
        Err(_) => Ok(()),
    })
    .unwrap();
    bed.kill("a").unwrap();
    assert!(!first.is_alive());
    bed.restart("a").unwrap();
    let second = bed.process("a").unwrap();
    assert!(second.is_alive() && second != first);
    bed.wait_until("a", "being up twice", LIMIT, logged(&log, "up\nup\n"))
        .unwrap();
    let error = bed.kill("b").unwrap_err().to_string();
    assert!(error.ends_with("has no part `b`; it has: a"), "{error}");
    let error = bed.spawn(shell("a", "true")).unwrap_err();
    assert!(matches!(error, BedError::PartExists { .. }), "{error}");
}

#[test]
fn a_kept_bed_outlives_its_value_and_is_ended_by_name() {
    let name = format!("kept-{}", std::process::id());
    let mut bed = Bed::create(&name, "plain").unwrap();
    bed.spawn(shell("sleeper", "sleep 600")).unwrap();
    bed.set_fact("answer", "42").unwrap();
    let error = Bed::create(&name, "plain").unwrap_err();
    assert!(matches!(error, BedError::InUse { .. }), "{error}");
    let process = bed.process("sleeper").unwrap();
    bed.keep().unwrap();
    assert!(process.is_alive());
    let error = Bed::create(&name, "plain").unwrap_err();
    assert!(matches!(error, BedError::Running(_)), "{error}");

    let summary = Bed::list();
    let summary = summary.iter().find(|bed| bed.name == name).unwrap();
    assert!(!summary.stale && summary.parts[0].alive);
    assert_eq!(summary.facts["answer"], "42");

    let bed = Bed::open(&name).unwrap();
    assert_eq!(bed.part_names().collect::<Vec<_>>(), ["sleeper"]);
    bed.down().unwrap();
    assert!(!process.is_alive());
    let error = Bed::open(&name).unwrap_err();
    assert!(matches!(error, BedError::Unknown { .. }), "{error}");
}

#[test]
fn a_kept_bed_whose_parts_are_gone_gives_its_name_away() {
    let name = format!("reboot-{}", std::process::id());
    let mut bed = Bed::create(&name, "plain").unwrap();
    bed.spawn(shell("sleeper", "sleep 600")).unwrap();
    bed.kill("sleeper").unwrap();
    bed.keep().unwrap();
    Bed::create(&name, "plain").unwrap().down().unwrap();
}

#[test]
fn a_damaged_bed_hides_no_other_and_says_what_to_do() {
    let name = format!("damaged-{}", std::process::id());
    let bed = Bed::create(&name, "plain").unwrap();
    let folder = bed.folder().to_owned();
    bed.keep().unwrap();
    let state = folder.join("bed.json");
    let whole = std::fs::read(&state).unwrap();
    std::fs::write(&state, "{").unwrap();
    let other = Bed::unique("whole").unwrap();
    let beds = Bed::list();
    let seen = |name: &str| beds.iter().find(|bed| bed.name == name).unwrap();
    assert!(seen(other.name()).damage.is_none());
    assert!(seen(&name).damage.is_some());
    let error = Bed::open(&name).unwrap_err().to_string();
    assert!(error.contains("is not the state of a test bed"), "{error}");
    std::fs::write(&state, whole).unwrap();
    Bed::open(&name).unwrap().down().unwrap();
}

#[test]
fn names_become_folders_and_nothing_else() {
    for name in ["", "../up", "Upper", "-x", "1x", "a b", &"x".repeat(33)] {
        let error = Bed::create(name, "plain").unwrap_err();
        assert!(matches!(error, BedError::BadName(_)), "{name}: {error}");
    }
}

fn run(program: &str, args: &[&str]) {
    let status = Command::new(program).args(args).status().unwrap();
    assert!(status.success(), "{program} {args:?}: {status}");
}

#[test]
fn what_a_bed_made_outside_of_its_folder_ends_with_it() {
    if !home::is_root() {
        let note = "LEFT OUT: namespaces, routes and mounts of a bed: only root can make them\n";
        std::io::stdout().write_all(note.as_bytes()).unwrap();
        return;
    }
    let before = Snapshot::take();
    let mut bed = Bed::unique("outside").unwrap();
    let name = format!("fs{}", std::process::id());
    // Of the range for benchmarks, which nobody routes.
    let route = format!(
        "blackhole 198.18.{}.0/24 metric 4321",
        std::process::id() % 256
    );
    let group = ["/sys/fs/cgroup/pids", "/sys/fs/cgroup"]
        .map(Path::new)
        .into_iter()
        .find(|folder| folder.is_dir())
        .unwrap()
        .join(&name);
    for resource in [
        Resource::NetworkNamespace(name.clone()),
        Resource::Link(name.clone()),
        Resource::Route(route.clone()),
        Resource::ControlGroup(group.clone()),
        // Written down and never made, as if the runner had been killed in between.
        Resource::NetworkNamespace(format!("{name}-never")),
    ] {
        bed.record_resource(resource).unwrap();
    }
    run("ip", &["netns", "add", &name]);
    run(
        "ip",
        &[
            "link", "add", &name, "type", "veth", "peer", "eth0", "netns", &name,
        ],
    );
    let words: Vec<&str> = ["route", "add"]
        .into_iter()
        .chain(route.split(' '))
        .collect();
    run("ip", &words);
    std::fs::create_dir_all(group.join("below")).unwrap();
    let mount = bed.subfolder("with space", None).unwrap();
    let target = mount.display().to_string();
    run("mount", &["-t", "tmpfs", "testbed", &target]);
    // Inside of the namespace, as somebody else.
    let nobody = RunAs {
        uid: 65534,
        gid: 65534,
    };
    let inside = shell("inside", "id -u; ls /sys/class/net; exec sleep 600")
        .netns(&name)
        .run_as(nobody);
    bed.spawn(inside).unwrap();
    let log = bed.log("inside").unwrap();
    bed.wait_until("inside", "looking around", LIMIT, logged(&log, "65534\n"))
        .unwrap();

    bed.down().unwrap();
    assert!(!mount.exists());
    before.assert_nothing_added();
}

/// Not a test of its own: what the next one runs in a process that it kills.
#[test]
fn a_runner_that_is_killed() {
    let Some(name) = std::env::var_os("FORESHARD_TESTBED_KILLED_BED") else {
        return;
    };
    let mut bed = Bed::create(&name.to_string_lossy(), "plain").unwrap();
    bed.spawn(shell("sleeper", "echo up; exec sleep 600"))
        .unwrap();
    // Until the test that holds the other end of the pipe kills this process, or is gone itself.
    std::io::stdin().read_line(&mut String::new()).unwrap();
}

#[test]
fn a_bed_whose_runner_was_killed_is_ended_by_name_and_by_the_next_bed() {
    for by_name in [true, false] {
        let name = format!("killed-{by_name}-{}", std::process::id());
        let mut runner = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "a_runner_that_is_killed"])
            .env("FORESHARD_TESTBED_KILLED_BED", &name)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let mut watch = Bed::unique("watch").unwrap();
        watch.spawn(shell("watch", "sleep 600")).unwrap();
        let mut seen = None;
        watch
            .wait_until("watch", "the other bed coming up", LIMIT, || {
                let all = Bed::list();
                seen = all
                    .into_iter()
                    .find(|bed| bed.name == name && !bed.parts.is_empty());
                seen.as_ref()
                    .map(|_| ())
                    .ok_or_else(|| "no such bed".to_owned())
            })
            .unwrap();
        let seen = seen.unwrap();
        let error = Bed::open(&name).unwrap_err();
        assert!(matches!(error, BedError::InUse { .. }), "{error}");
        runner.kill().unwrap();
        runner.wait().unwrap();
        assert!(seen.parts[0].process.is_alive());
        if by_name {
            Bed::open(&name).unwrap().down().unwrap();
        } else {
            Bed::unique("next").unwrap();
        }
        assert!(!seen.parts[0].process.is_alive());
        assert!(!seen.folder.exists());
    }
}

/// Not a test of its own: what the next one runs in a process of its own.
#[test]
fn a_process_with_a_watched_bed() {
    let Some(name) = std::env::var_os("FORESHARD_TESTBED_WATCHED_BED") else {
        return;
    };
    let mut bed = Bed::create(&name.to_string_lossy(), "plain").unwrap();
    bed.spawn(shell("sleeper", "exec sleep 600")).unwrap();
    guard::watch(&bed).unwrap();
    bed.set_fact("watched", "yes").unwrap();
    // As a static would be: no destructor runs.
    std::mem::forget(bed);
    std::io::stdin().read_line(&mut String::new()).unwrap();
}

#[test]
fn a_watched_bed_ends_with_its_process_however_that_ends() {
    for killed in [true, false] {
        let name = format!("watched-{killed}-{}", std::process::id());
        let mut runner = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "a_process_with_a_watched_bed"])
            .env("FORESHARD_TESTBED_WATCHED_BED", &name)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let find = || Bed::list().into_iter().find(|bed| bed.name == name);
        let mut watch = Bed::unique("watch").unwrap();
        watch.spawn(shell("watch", "exec sleep 600")).unwrap();
        watch
            .wait_until("watch", "seeing the other bed", LIMIT, || {
                let up = find().is_some_and(|bed| bed.facts.contains_key("watched"));
                up.then_some(()).ok_or_else(|| "no such bed".to_owned())
            })
            .unwrap();
        let process = find().unwrap().parts[0].process;
        if killed {
            runner.kill().unwrap();
        }
        // Its input ends, and with it the test that it runs.
        drop(runner.stdin.take());
        runner.wait().unwrap();
        watch
            .wait_until("watch", "seeing the other bed go", LIMIT, || {
                let gone = find().is_none() && !process.is_alive();
                gone.then_some(()).ok_or_else(|| "still there".to_owned())
            })
            .unwrap();
    }
}
