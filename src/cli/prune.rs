//! `ganvil prune`.

use crate::gan::{Pruned, prune};
use crate::{Error, Result};
use std::path::PathBuf;

#[derive(clap::Args)]
#[command(
    after_help = "A run keeps its two newest checkpoints, which is what resume falls back on. Of a finished one the newest is \
    enough: prune removes the other, once the newest is known to be intact, and files that a kill left half-written.\n\n\
    Examples:\n  ganvil prune runs/00000-mnist-mlp --dry-run\n  ganvil prune runs/*"
)]
pub struct Args {
    /// Folders of runs
    #[arg(required = true)]
    runs: Vec<PathBuf>,
    /// Checkpoints to keep in each
    #[arg(long, default_value_t = 1, value_name = "N")]
    keep: usize,
    /// Only say what would be removed
    #[arg(long)]
    dry_run: bool,
}

pub fn run(args: Args) -> Result<()> {
    let (mut files, mut bytes) = (0, 0);
    let verb = if args.dry_run { "would remove" } else { "removed" };
    let mut failed = None;
    for dir in &args.runs {
        let pruned = match prune(dir, args.keep, args.dry_run) {
            Ok(pruned) => pruned,
            Err(e @ Error::Argument { .. }) => return Err(e),
            // The others are no worse for it.
            Err(e) => {
                super::note(&format!("{}: {e}", dir.display()));
                failed = Some(e);
                continue;
            }
        };
        for Pruned { path, bytes: size } in pruned {
            super::print(&format!("{verb} {} ({:.1} MB)\n", path.display(), size as f64 / 1e6))?;
            (files, bytes) = (files + 1, bytes + size);
        }
    }
    if files > 0 || failed.is_none() {
        super::print(&format!(
            "{verb} {files} file{}, {:.1} MB\n",
            if files == 1 { "" } else { "s" },
            bytes as f64 / 1e6
        ))?;
    }
    failed.map_or(Ok(()), Err)
}
