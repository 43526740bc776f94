//! What `--explain-step` prints: a step as a person reads it, in 100 columns.

use super::recorded::{columns, number};
use crate::gan::{ExplainedUpdate, Explanation, Pass, StepConfig};
use std::fmt::Write;

/// No line is longer.
const WIDTH: usize = 100;

/// The step in full.
pub fn describe(e: &Explanation) -> String {
    let c = &e.config;
    let mut text = format!("step {} in full\n\n", e.step);
    let plays = format!(
        "A step is n_d = {} update{} of D, then n_g = {} of G. Here are the last of D's and the last of G's. Norms are \
         Euclidean; a tensor with a graph remembers how it was made, so that gradients can flow back through it.",
        c.n_d,
        if c.n_d == 1 { "" } else { "s" },
        c.n_g
    );
    text += &wrapped(&plays, "");
    for u in &e.updates {
        update(&mut text, u, c);
    }
    let kernels = e.kernels.iter().take(8).map(|&(name, calls, macs)| {
        let macs = if macs == 0 { "-".into() } else { format!("{:.1}", macs as f64 / 1e6) };
        vec![format!("  {name}"), calls.to_string(), macs]
    });
    let head = vec!["  kernel".into(), "calls".into(), "million multiply-adds".into()];
    let rows: Vec<Vec<String>> = std::iter::once(head).chain(kernels).collect();
    text += "\nkernels of the whole step, the most expensive first\n";
    text += &columns(&rows, |i| i == 0);
    text
}

fn update(text: &mut String, u: &ExplainedUpdate, c: &StepConfig) {
    let (own, other, k) = match u.pass {
        Pass::Discriminator(k) => ("D", "G", k),
        Pass::Generator(k) => ("G", "D", k),
    };
    let title = format!("update {} of {} of {own}", k + 1, u.of);
    let _ = write!(text, "\n{title}\n{}\n\n", "=".repeat(title.len()));
    let story = if own == "D" { story_of_d(c, u.together()) } else { story_of_g(c) };
    story.iter().for_each(|part| *text += &wrapped(part, ""));
    tensors(text, u);
    terms(text, u);
    parameters(text, u, own);
    let (count, touched) = u.others;
    let none = if touched == 0 {
        format!(
            "None of the {count} parameters of {other} has a gradient, and all are bit for bit what they were."
        )
    } else {
        format!(
            "{touched} of the {count} parameters of {other} were touched, which is a bug: please report it."
        )
    };
    *text += &wrapped(&none, "  ");
    buffers(text, u);
    times(text, u);
}

fn story_of_d(c: &StepConfig, together: bool) -> Vec<String> {
    let passes = if together {
        "go through D as one batch, for it judges each sample by itself."
    } else {
        "go through D in two passes, each with batch statistics of its own where D has any."
    };
    let mut story = vec![format!(
        "D learns to tell real samples x from fakes G(z). The fakes are detached, that is, constants: D's gradient is \
         about D's parameters, and a graph of G would only carry gradients that nobody asks for. Real samples and fakes \
         {passes}"
    )];
    if c.gradient_penalty.is_some() || c.dragan.is_some() {
        story.push(
            "The penalty looks at D's slope: the gradient of D's output by its input, taken with a graph of its own, so \
             that it can be differentiated once more, by D's parameters."
                .into(),
        );
    }
    if c.pack > 1 {
        story
            .push(format!("D judges packs of {}: it gives an answer for each, not for each sample.", c.pack));
    }
    story
}

fn story_of_g(c: &StepConfig) -> Vec<String> {
    let mut story = vec![
        "G learns to make samples that D takes for real. The gradient has to pass through D to reach G, so D's layers \
         are part of the graph; but only G's parameters are asked for. D is the road here, not the traveller."
            .to_owned(),
    ];
    if c.unroll == 0 {
        story.push("So the gradients of D's weights are not even computed, which saves about a third of D's backward pass.".into());
    } else {
        story.push(format!(
            "D is not judged as it stands but as it will be after {} more update{}, which are made on a copy and with a \
             graph: the gradient also flows through them, so that G sees what D will do about its move.",
            c.unroll,
            if c.unroll == 1 { "" } else { "s" }
        ));
    }
    if c.feature_matching.is_some() {
        story.push("What is minimised is the distance of D's mean features, in place of the loss.".into());
    }
    story
}

fn tensors(text: &mut String, u: &ExplainedUpdate) {
    let head = ["what was made", "shape", "dtype", "graph", "mean", "std", "min", "max"];
    let mut rows = vec![head.map(String::from).to_vec()];
    for t in &u.tensors {
        let shape = if t.shape.is_empty() { "one number".into() } else { format!("{:?}", t.shape) };
        let graph = if t.graph { "yes" } else { "no" };
        let mut row = vec![format!("  {}", t.name), shape, t.dtype.to_string(), graph.to_owned()];
        row.extend([t.mean, t.std, t.min, t.max].map(number));
        rows.push(row);
    }
    // What is to be known of each stands below its line.
    let table = columns(&rows, |i| i < 4);
    let mut lines = table.lines();
    let _ = writeln!(text, "\n{}", lines.next().unwrap_or_default());
    for (line, t) in lines.zip(&u.tensors) {
        let _ = writeln!(text, "{line}\n      {}", t.why);
    }
}

fn terms(text: &mut String, u: &ExplainedUpdate) {
    let mut rows = vec![["what was minimised", "value", "weight", "share"].map(String::from).to_vec()];
    for t in &u.terms {
        let share = number(t.value * t.weight);
        rows.push(vec![format!("  {}", t.name), number(t.value), number(t.weight), share]);
    }
    rows.push(vec!["  objective".into(), String::new(), String::new(), number(u.objective)]);
    let _ = write!(text, "\n{}", columns(&rows, |i| i == 0));
}

fn parameters(text: &mut String, u: &ExplainedUpdate, own: &str) {
    let head = ["where the gradient went", "shape", "|gradient|", "|weight|", "|update|", "update/weight"];
    let mut rows = vec![head.map(String::from).to_vec()];
    let ratio = |change: f64, norm: f64| if norm > 0.0 { number(change / norm) } else { "-".into() };
    for p in &u.parameters {
        let gradient = p.gradient.map_or("none".into(), number);
        let (norm, change) = (number(p.norm), number(p.change));
        let shape = format!("{:?}", p.shape);
        rows.push(vec![format!("  {}", p.name), shape, gradient, norm, change, ratio(p.change, p.norm)]);
    }
    let whole =
        |of: &dyn Fn(usize) -> f64| (0..u.parameters.len()).map(|i| of(i).powi(2)).sum::<f64>().sqrt();
    let gradient = whole(&|i| u.parameters[i].gradient.unwrap_or(0.0));
    let (norm, change) = (whole(&|i| u.parameters[i].norm), whole(&|i| u.parameters[i].change));
    let all = format!("  all {} of {own}", u.parameters.len());
    let row = vec![all, String::new(), number(gradient), number(norm), number(change), ratio(change, norm)];
    rows.push(row);
    let _ = write!(text, "\n{}", columns(&rows, |i| i < 2));
    let rate = match u.factor {
        0.0 => "The update was skipped, to keep the balance.".into(),
        1.0 => format!("The learning rate is {}.", number(u.lr)),
        f => format!("The learning rate is {} times {} to keep the balance.", number(u.lr), number(f)),
    };
    *text += &wrapped(&rate, "  ");
}

fn buffers(text: &mut String, u: &ExplainedUpdate) {
    if u.buffers.is_empty() {
        *text += "\nNo buffer changed.\n";
        return;
    }
    let note = "buffers that changed: running statistics and vectors of a norm, which no gradient moves; every training \
                pass through a layer renews its own";
    let _ = write!(text, "\n{}", wrapped(note, ""));
    let rows: Vec<Vec<String>> =
        u.buffers.iter().map(|(name, by)| vec![format!("  {name}"), "by".into(), number(*by)]).collect();
    *text += &columns(&rows, |i| i < 2);
}

fn times(text: &mut String, u: &ExplainedUpdate) {
    let sum: f64 = u.times.iter().map(|t| t.1).sum();
    let row = |name: &str, s: f64| {
        let share = if sum > 0.0 { 100.0 * s / sum } else { 0.0 };
        vec![format!("  {name}"), format!("{:.2} ms", 1e3 * s), format!("{share:.1} %")]
    };
    let mut rows = vec![vec!["where the time went".into()]];
    rows.extend(u.times.iter().map(|&(name, s)| row(name, s)));
    rows.push(row("all", sum));
    let _ = write!(text, "\n{}", columns(&rows, |i| i == 0));
}

/// Text in lines of at most 100 columns, each with `indent` in front.
fn wrapped(text: &str, indent: &str) -> String {
    let (mut out, mut line) = (String::new(), indent.to_owned());
    for word in text.split_whitespace() {
        if line.chars().count() + 1 + word.chars().count() > WIDTH && line != indent {
            out += line.trim_end();
            out.push('\n');
            line = indent.to_owned();
        }
        line += word;
        line.push(' ');
    }
    out + line.trim_end() + "\n"
}
