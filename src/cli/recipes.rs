//! `ganvil recipes`.

use crate::gan::{networks, zoo};
use crate::metrics::ClassifierConfig;
use crate::nn::summary;
use crate::rng::Stream;
use crate::{Error, Generator, Result};
use serde_json::json;
use std::fmt::Write;

#[derive(clap::Args)]
#[command(after_help = "Examples:\n  ganvil recipes\n  ganvil recipes wgan-gp")]
pub struct Args {
    /// The recipe to explain; without it all are listed
    recipe: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Columns of the explanation.
const WIDTH: usize = 96;
/// Of them, those of its left side.
const LEFT: usize = 11;

pub fn run(args: Args) -> Result<()> {
    let Some(name) = &args.recipe else {
        return super::print(&if args.json {
            let all: Vec<_> =
                zoo::RECIPES.iter().map(|r| json!({"name": r.name, "summary": r.summary})).collect();
            format!("{}\n", json!(all))
        } else {
            format!(
                "{}\nganvil recipes NAME explains one, ganvil train NAME trains it.\n",
                super::recipes("")
            )
        });
    };
    if name == ClassifierConfig::RECIPE {
        let remedy =
            "it is no GAN but what measures them; ganvil train classifier --help has its flags".into();
        return Err(Error::Argument { what: "recipe", value: name.clone(), remedy });
    }
    let recipe = zoo::recipe(name)?;
    super::print(&if args.json { format!("{}\n", as_json(recipe)?) } else { explained(recipe)? })
}

/// Parameters, and multiply-adds for a sample of MNIST's size, of G and D.
fn sizes(recipe: &zoo::Recipe) -> Result<[(usize, u64); 2]> {
    let config = (recipe.config)();
    let image = config.data.pad.map_or([1, 28, 28], |n| [1, n, n]);
    let (g, d) = networks(&config, image, 10, &Generator::new(config.seed, Stream::Init))?;
    // The pass is on shapes alone, and D may take several samples at a time or groups of them.
    let groups = config.networks.minibatch_stddev.unwrap_or(1);
    let of_g = summary(&g, &[groups, config.latent]);
    let mut seen = of_g.output.clone();
    seen[1] *= config.step.pack;
    let of_d = summary(&d, &seen);
    Ok([(of_g.parameters, of_g.macs / groups as u64), (of_d.parameters, of_d.macs / groups as u64)])
}

fn as_json(recipe: &zoo::Recipe) -> Result<serde_json::Value> {
    let [g, d] = sizes(recipe)?;
    let a = recipe.about;
    Ok(json!({
        "name": recipe.name, "summary": recipe.summary,
        "idea": a.idea, "equation": a.equation, "source": a.source, "cost": a.cost, "watch": a.watch,
        "parameters": {"g": g.0, "d": d.0}, "macs_per_sample": {"g": g.1, "d": d.1},
        "settings": (recipe.config)(),
    }))
}

fn explained(recipe: &zoo::Recipe) -> Result<String> {
    let (config, about, [g, d]) = ((recipe.config)(), recipe.about, sizes(recipe)?);
    let mut out = format!("{}: {}\n\n", recipe.name, recipe.summary);
    let mut row = |what: &str, text: &str| {
        for (i, line) in wrapped(text, WIDTH - LEFT).iter().enumerate() {
            let what = if i == 0 { what } else { "" };
            writeln!(out, "{what:<LEFT$}{line}").expect("memory can be written to");
        }
    };
    row("idea", about.idea);
    row("equation", about.equation);
    row("source", about.source);
    row("cost", about.cost);
    let network = |(parameters, macs): (usize, u64)| {
        format!(
            "{:.2} M parameters and {:.1} M multiply-adds a sample",
            parameters as f64 / 1e6,
            macs as f64 / 1e6
        )
    };
    let (n_d, n_g, batch) = (config.step.n_d, config.step.n_g, config.batch);
    row(
        "",
        &format!(
            "G: {}; D: {}; n_d : n_g = {n_d} : {n_g}, batch {batch}, {} steps",
            network(g),
            network(d),
            config.steps
        ),
    );
    row("watch", about.watch);
    let settings = toml::to_string(&config).expect("settings are TOML");
    write!(out, "\nSettings (change any with --set; docs/techniques.md has what they mean):\n\n")
        .expect("memory can be written to");
    for line in settings.lines().filter(|l| !l.is_empty()) {
        writeln!(out, "  {line}").expect("memory can be written to");
    }
    Ok(out)
}

/// Lines of at most `width` characters, broken at spaces.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let line = lines.last_mut().expect("there is a line");
        if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > width {
            lines.push(word.into());
        } else {
            line.push_str(if line.is_empty() { "" } else { " " });
            line.push_str(word);
        }
    }
    lines
}
