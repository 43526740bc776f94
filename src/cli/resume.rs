//! `ganvil resume`.

use super::device::DeviceArg;
use super::profile::ProfileArg;
use super::{signals, train};
use crate::gan::{Run, Watch, resume};
use crate::{Error, Result};
use std::path::PathBuf;

#[derive(clap::Args)]
#[command(
    after_help = "The run goes on from its newest intact checkpoint, bit for bit as if it had never stopped, on any number \
    of threads. A schedule of learning rates stays as it is, whatever --steps says. How long it goes is `steps` in its config.toml; reports and step sizes may be changed there too.\n\n\
    Examples:\n  ganvil resume runs/00000-mnist-mlp\n  ganvil resume my-run --steps 60000 --threads 1"
)]
pub struct Args {
    /// Folder of the run
    run: PathBuf,
    /// The new total of steps, noted in config.toml [default: the one there]
    #[arg(long, value_name = "N")]
    steps: Option<u64>,
    /// Where the run's data is now, if it has moved
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    #[command(flatten)]
    device: DeviceArg,
    /// Kernel threads; results do not depend on them [default: one per processor]
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// Print step N in full when it is made: tensors, losses, gradients, times
    #[arg(long, value_name = "N")]
    explain_step: Option<u64>,
    #[command(flatten)]
    profile: ProfileArg,
}

pub fn run(args: Args) -> Result<()> {
    let (threads, device) = (super::threads(args.threads)?, args.device.open()?);
    let run = Run::open(&args.run)?;
    let written = run.config()?;
    let mut config = written.clone();
    config.dataset = args.data.clone().or(config.dataset);
    config.steps = args.steps.unwrap_or(config.steps);
    config.check()?;
    // The checkpoint knows its data: another folder with the same is as good.
    if args.data.is_none() && config.dataset.as_ref().is_some_and(|dir| !dir.exists()) {
        let was = config.dataset.take().unwrap_or_default();
        super::note(&format!("note: {} is gone; looking for the data elsewhere", was.display()));
    }
    let data = train::open_data(&mut config)?;
    crate::threads(threads, || {
        let mut resumed = resume(&run, &config, &data, device)?;
        resumed.notes.iter().for_each(|n| super::note(&format!("note: {n}")));
        let done = resumed.trainer.steps();
        if args.steps.is_some_and(|steps| steps < done) {
            let remedy = format!("the run has made {done} steps; give a larger total");
            return Err(Error::Argument { what: "--steps", value: config.steps.to_string(), remedy });
        }
        let watch = Watch { explain: args.explain_step, profile: args.profile.profile };
        watch.check(done, config.steps)?;
        if config != written {
            run.set_config(&config)?;
        }
        let ends = [("D", &config.schedule_d), ("G", &config.schedule_g)].map(|(of, s)| (of, s.horizon()));
        if let Some((of, Some(horizon))) = ends.into_iter().find(|(_, h)| h.is_some_and(|h| h < config.steps))
        {
            super::note(&format!(
                "note: the learning rate of {of} keeps its last value from step {horizon} on, where its schedule ends; \
                 `ganvil train --steps {}` would have a longer one",
                config.steps
            ));
        }
        if done >= config.steps {
            super::note(&format!(
                "{}: all {done} steps are done; to go on, give a larger total with --steps",
                run.dir().display()
            ));
            return Ok(());
        }
        let stop = signals::watch(signals::RUN);
        run.note_environment(done)?;
        train::go_on(&mut resumed.trainer, &run, watch, &stop)
    })
}
