//! Every command's help, against the parser that it describes.

use super::{IN_ONE_LINE, command, shell};
use clap::Command;

/// A command and all below it, each with the words that call it; not clap's own `help`.
fn walk(command: &Command, words: &str, visit: &mut impl FnMut(&Command, &str)) {
    visit(command, words);
    for c in command.get_subcommands().filter(|c| c.get_name() != "help") {
        walk(c, &format!("{words} {}", c.get_name()), visit);
    }
}

#[test]
fn every_help_ends_in_examples_that_the_parser_takes() {
    let whole = command();
    let mut count = 0;
    walk(&whole, "ganvil", &mut |c, words| {
        if words == "ganvil" {
            return;
        }
        let text = c.get_after_help().map(ToString::to_string).unwrap_or_default();
        let (_, examples) = shell::split_examples(&text);
        assert!(!examples.trim().is_empty(), "`{words} --help` has no example");
        for line in examples.trim_end().lines() {
            assert!(line.starts_with(&format!("  {words}")), "`{words} --help` ends in '{line}'");
            // A shell's part begins at the redirection.
            let arguments = line.split(" > ").next().unwrap().split_whitespace();
            if let Err(e) = command().try_get_matches_from(arguments) {
                panic!("the example '{line}' is not accepted: {e}");
            }
            count += 1;
        }
    });
    assert!(count >= 20, "{count}");
    let wrong = "ganvil train mlp --sede 7".split(' ');
    assert!(command().try_get_matches_from(wrong).is_err(), "the parser looks at flags");
}

#[test]
fn the_help_is_one_screen() {
    let help = command().render_help().to_string();
    assert!(help.lines().count() <= 24, "{} lines:\n{help}", help.lines().count());
    help.lines().for_each(|line| assert!(line.chars().count() <= 80, "too long: {line}"));
    for c in command().get_subcommands() {
        let name = c.get_name();
        let listed = help.lines().any(|line| line.starts_with(&format!("  {name} ")));
        let hidden = name == "help" || IN_ONE_LINE.contains(&name);
        assert!(listed != hidden, "{name}:\n{help}");
        assert!(name == "help" || help.contains(&format!("ganvil {name}")) || listed, "{name}:\n{help}");
    }
}
