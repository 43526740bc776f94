//! What a network is made of and what a pass of it costs.

use super::{Applied, Ctx, Kind, Module, parameter_count};
use crate::backend::trace::{self, Call};
use crate::{DType, Device, Tensor, no_grad};
use std::cell::RefCell;
use std::fmt;

/// A module of a network.
///
/// ```
/// use ganvil::nn::{Linear, summary};
/// use ganvil::{Generator, rng::Stream};
/// let row = &summary(&Linear::new(3, 2, true, &Generator::new(0, Stream::Init)), &[10, 3]).rows[0];
/// assert_eq!((row.layer, row.parameters, row.macs), ("Linear", 8, 60));
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Row {
    /// Its path, as in messages: `G.net.3`; empty for the network itself.
    pub name: String,
    /// Its type: `Linear`.
    pub layer: &'static str,
    /// The shape of its output.
    pub output: Vec<usize>,
    /// Trained values of its own, without those of modules inside of it.
    pub parameters: usize,
    /// Multiply-adds of its own matrix products and convolutions.
    pub macs: u64,
}

/// What [`summary()`] finds. Its `Display` is a table.
///
/// ```
/// use ganvil::nn::{BatchNorm1d, summary};
/// let s = summary(&BatchNorm1d::new(8, 1e-5, 0.1), &[10, 8]);
/// assert_eq!((s.parameters, s.parameter_bytes, s.buffers), (16, 64, 17));
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Summary {
    /// The shape of the input.
    pub input: Vec<usize>,
    /// The shape of the output.
    pub output: Vec<usize>,
    /// In the order in which they finish: parts before what they are part of. A container that computes nothing and
    /// owns nothing has no row.
    pub rows: Vec<Row>,
    /// Trained values.
    pub parameters: usize,
    /// Bytes of the trained values.
    pub parameter_bytes: usize,
    /// Values in buffers: running statistics, counters.
    pub buffers: usize,
    /// Multiply-adds of an evaluation pass of this input.
    pub macs: u64,
}

/// Runs an evaluation pass on shapes alone, and lists every layer with its output, parameters and multiply-adds.
///
/// The pass is a real one, on device meta: no values, no time. Multiply-adds are those of the kernels that were called,
/// so they are what the library does and not what a formula for the layer says. `input` includes the batch; an input of
/// indices goes through [`Summary::of`].
///
/// ```
/// use ganvil::nn::{Linear, Sequential, Tanh, summary};
/// use ganvil::{Generator, rng::Stream};
/// let random = Generator::new(0, Stream::Init);
/// let net = Sequential::new().with(Linear::new(100, 1000, true, &random)).with(Tanh);
/// let s = summary(&net, &[64, 100]);
/// assert_eq!((s.parameters, s.macs), (101_000, 6_400_000));
/// assert_eq!((&*s.rows[1].name, s.rows[1].layer, &*s.rows[1].output), ("1", "Tanh", &[64, 1000][..]));
/// assert_eq!(
///     s.to_string(),
///     "\
/// layer  type    output      parameters       MACs
/// ────────────────────────────────────────────────
/// 0      Linear  [64, 1000]     101,000  6,400,000
/// 1      Tanh    [64, 1000]           -          -
/// ────────────────────────────────────────────────
/// total          [64, 1000]     101,000  6,400,000
/// input [64, 100], parameters 394.5 KiB, buffers 0 values
/// "
/// );
/// ```
///
/// # Panics
/// If the network does not take this shape: with the message of the layer that refuses it.
#[track_caller]
pub fn summary(module: &dyn Module, input: &[usize]) -> Summary {
    let mut dtype = None;
    module.visit("", &mut |_, _, t| dtype = dtype.or(t.dtype().is_float().then_some(t.dtype())));
    Summary::of(module, &Tensor::zeros(input, dtype.unwrap_or(DType::F32), Device::Meta))
}

impl Summary {
    /// [`summary()`] for an input of any dtype, whose values do not matter.
    ///
    /// ```
    /// use ganvil::nn::{Embedding, Summary};
    /// use ganvil::{DType, Device, Generator, Tensor, rng::Stream};
    /// let table = Embedding::new(10, 3, &Generator::new(0, Stream::Init));
    /// let s = Summary::of(&table, &Tensor::zeros(&[64], DType::I64, Device::Cpu));
    /// assert_eq!((s.output, s.parameters, s.macs), (vec![64, 3], 30, 0));
    /// ```
    #[track_caller]
    pub fn of(module: &dyn Module, input: &Tensor) -> Summary {
        let drafts = RefCell::new(Drafts::default());
        let watch = |a: &Applied| drafts.borrow_mut().add(a.path, a.module, a.output);
        let (output, calls) = no_grad(|| {
            let meta = module.boxed().map(|_, _, t| t.to_device(Device::Meta));
            let input = input.to_device(Device::Meta);
            // For layers that want to know the samples' classes.
            let classes = Tensor::zeros(&input.shape()[..input.rank().min(1)], DType::I64, Device::Meta);
            trace::record(|| meta.forward(&input, &Ctx::eval().with_condition(&classes).watched(&watch)))
        });
        let mut drafts = drafts.into_inner();
        drafts.add("", module, &output);
        drafts.attribute(&calls);
        let (mut parameter_bytes, mut buffers) = (0, 0);
        module.visit("", &mut |_, kind, t| match kind {
            Kind::Parameter => parameter_bytes += t.numel() * t.dtype().size(),
            Kind::Buffer => buffers += t.numel(),
        });
        Summary {
            input: input.shape().to_vec(),
            output: output.shape().to_vec(),
            rows: drafts.rows(),
            parameters: parameter_count(module),
            parameter_bytes,
            buffers,
            macs: calls.iter().map(Call::macs).sum(),
        }
    }
}

/// Rows in the making, each with whether its module called a kernel itself.
#[derive(Default)]
struct Drafts(Vec<(Row, bool)>);

impl Drafts {
    /// A module that was applied; those inside of it were added before. One that is applied again keeps its row.
    fn add(&mut self, name: &str, module: &dyn Module, output: &Tensor) {
        let output = output.shape().to_vec();
        if let Some((row, _)) = self.0.iter_mut().find(|(row, _)| row.name == name) {
            row.output = output;
            return;
        }
        let inside = self.0.iter().filter(|(row, _)| is_inside(&row.name, name));
        let parameters = parameter_count(module) - inside.map(|(row, _)| row.parameters).sum::<usize>();
        let row = Row { name: name.into(), layer: module.type_name(), output, parameters, macs: 0 };
        self.0.push((row, false));
    }

    /// Gives each call to the innermost module that it ran in.
    fn attribute(&mut self, calls: &[Call]) {
        for call in calls {
            let within = |row: &Row| call.module == row.name || is_inside(&call.module, &row.name);
            let rows = self.0.iter_mut().filter(|(row, _)| within(row));
            if let Some((row, called)) = rows.max_by_key(|(row, _)| row.name.len()) {
                row.macs += call.macs();
                *called = true;
            }
        }
    }

    /// What is worth a row.
    fn rows(self) -> Vec<Row> {
        let names: Vec<String> = self.0.iter().map(|(row, _)| row.name.clone()).collect();
        let is_layer = |row: &Row| !names.iter().any(|n| is_inside(n, &row.name));
        let kept = self.0.into_iter().filter(|(row, called)| *called || row.parameters > 0 || is_layer(row));
        kept.map(|(row, _)| row).collect()
    }
}

/// Whether one path lies beneath another.
fn is_inside(name: &str, outer: &str) -> bool {
    if outer.is_empty() {
        !name.is_empty()
    } else {
        name.strip_prefix(outer).is_some_and(|rest| rest.starts_with('.'))
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let line = |name: &str, layer: &str, output: &[usize], parameters: usize, macs: u64| {
            let counts = [parameters as u64, macs].map(|n| if n == 0 { "-".into() } else { grouped(n) });
            let [parameters, macs] = counts;
            [name.to_owned(), layer.to_owned(), format!("{output:?}"), parameters, macs]
        };
        let header = ["layer", "type", "output", "parameters", "MACs"].map(String::from);
        let body = self.rows.iter().map(|r| line(&r.name, r.layer, &r.output, r.parameters, r.macs));
        let total = line("total", "", &self.output, self.parameters, self.macs);
        let lines: Vec<[String; 5]> = [header].into_iter().chain(body).chain([total]).collect();
        let width = |i: usize| lines.iter().map(|l| l[i].chars().count()).max().unwrap_or(0);
        let widths = [0, 1, 2, 3, 4].map(width);
        let rule = "─".repeat(widths.iter().sum::<usize>() + 2 * (widths.len() - 1));
        for (i, [name, layer, output, parameters, macs]) in lines.iter().enumerate() {
            if i == 1 || i + 1 == lines.len() {
                writeln!(f, "{rule}")?;
            }
            let [a, b, c, d, e] = widths;
            writeln!(f, "{name:a$}  {layer:b$}  {output:c$}  {parameters:>d$}  {macs:>e$}")?;
        }
        let (bytes, buffers) = (binary_bytes(self.parameter_bytes), grouped(self.buffers as u64));
        writeln!(f, "input {:?}, parameters {bytes}, buffers {buffers} values", self.input)
    }
}

/// 1234567 as `1,234,567`.
fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    out
}

/// 403456 as `394.0 KiB`.
fn binary_bytes(n: usize) -> String {
    const UNITS: [&str; 5] = ["bytes", "KiB", "MiB", "GiB", "TiB"];
    let mut value = n as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{n} {}", UNITS[0]) } else { format!("{value:.1} {}", UNITS[unit]) }
}
