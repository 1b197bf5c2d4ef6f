//! What commands take, measured by a process that is small.
//!
//! The kernel counts as a process's peak what the one that started it had until then,
//! and a suite that holds 100 MB would be told 100 MB of whatever it starts. So this
//! program starts itself once more, and that starts the command.

use std::process::Command;
use std::time::Duration;

use monaka_tests::toolbox::finish;
use monaka_tests::usage;

pub(crate) use monaka_tests::usage::Usage;

/// The first argument of the small process.
const FLAG: &str = "--usage-of";

/// Runs `command` to its end without input; it must succeed.
pub(crate) fn used(command: &Command) -> Usage {
    let small = std::env::current_exe().expect("this program's own path");
    let mut small = Command::new(small);
    small.arg(FLAG).arg(command.get_program());
    small.args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => small.env(name, value),
            None => small.env_remove(name),
        };
    }
    if let Some(directory) = command.get_current_dir() {
        small.current_dir(directory);
    }
    let outcome = finish(&mut small, "").expect_success();
    let numbers = outcome.stdout.split_whitespace().map(str::parse);
    match numbers.collect::<Result<Vec<u64>, _>>().as_deref() {
        Ok(&[cpu, peak]) => Usage {
            cpu: Duration::from_micros(cpu),
            peak,
        },
        _ => panic!("{}: not two numbers", outcome.stdout),
    }
}

/// Does what the small process is for, if that is what this is.
pub(crate) fn is_asked(args: &[String]) -> bool {
    let [flag, program, args @ ..] = args else {
        return false;
    };
    if flag != FLAG {
        return false;
    }
    let usage = usage::used(Command::new(program).args(args));
    println!("{} {}", usage.cpu.as_micros(), usage.peak);
    true
}
