//! `ganvil completions` and `ganvil man`: what a shell and `man` know of the program, made from the parser itself.

use crate::atomic::write_atomic;
use crate::{Error, Result};
use clap_complete::Shell;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, roman};
use std::path::{Path, PathBuf};

#[derive(clap::Args)]
#[command(after_help = "Examples:\n  \
    ganvil completions bash > ~/.local/share/bash-completion/completions/ganvil\n  \
    ganvil completions zsh > ~/.zfunc/_ganvil\n  \
    ganvil completions fish > ~/.config/fish/completions/ganvil.fish")]
pub struct CompletionsArgs {
    /// The shell whose script is printed
    shell: Shell,
}

#[derive(clap::Args)]
#[command(after_help = "Examples:\n  \
    ganvil man > ganvil.1\n  \
    ganvil man --out ~/.local/share/man/man1")]
pub struct ManArgs {
    /// Write the pages of all commands into this folder: ganvil.1, ganvil-train.1, ...
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

pub fn completions(args: CompletionsArgs) -> Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut super::command(), "ganvil", &mut script);
    super::print(&String::from_utf8_lossy(&script))
}

pub fn man(args: ManArgs) -> Result<()> {
    let mut command = super::unbuilt().disable_help_subcommand(true);
    for hidden in super::IN_ONE_LINE {
        command = command.mut_subcommand(hidden, |c| c.hide(false));
    }
    command.build();
    let Some(dir) = args.out else { return super::print(&page(&command)) };
    std::fs::create_dir_all(&dir).map_err(Error::io("create the folder", &dir))?;
    let count = write_pages(&command, &dir)?;
    note!("{count} pages: {}", dir.display());
    Ok(())
}

/// Writes the pages of a command and of those below it, and counts them.
fn write_pages(command: &clap::Command, dir: &Path) -> Result<usize> {
    let path = dir.join(Man::new(command.clone()).get_filename());
    write_atomic(&path, page(command).as_bytes())?;
    command.get_subcommands().try_fold(1, |count, c| Ok(count + write_pages(c, dir)?))
}

fn page(command: &clap::Command) -> String {
    let man = Man::new(command.clone()).source(concat!("ganvil ", env!("CARGO_PKG_VERSION")));
    let mut page = Vec::new();
    let written = man
        .render_title(&mut page)
        .and_then(|()| man.render_name_section(&mut page))
        .and_then(|()| man.render_synopsis_section(&mut page))
        .and_then(|()| man.render_description_section(&mut page))
        .and_then(|()| man.render_options_section(&mut page))
        .and_then(|()| match command.has_subcommands() {
            true => man.render_subcommands_section(&mut page),
            false => Ok(()),
        })
        .and_then(|()| endings(command).to_writer(&mut page));
    written.expect("memory can be written to");
    String::from_utf8_lossy(&page).into_owned()
}

/// What stands below the options, its lines as they are.
fn endings(command: &clap::Command) -> Roff {
    let text = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    let (notes, examples) = split_examples(&text);
    let mut roff = Roff::new();
    for (heading, text) in [("NOTES", notes), ("EXAMPLES", examples)] {
        if !text.trim().is_empty() {
            roff.control("SH", [heading]).control("nf", []);
            for line in text.trim_end().lines() {
                roff.text([roman(line)]);
            }
            roff.control("fi", []);
        }
    }
    roff
}

/// The end of a command's help: what comes before its examples, and the lines of these.
pub fn split_examples(after_help: &str) -> (&str, &str) {
    let headings = ["Example:\n", "Examples:\n"];
    let found = headings.iter().filter_map(|h| after_help.rfind(h).map(|at| (at, at + h.len()))).max();
    found.map_or((after_help, ""), |(at, end)| (&after_help[..at], &after_help[end..]))
}
