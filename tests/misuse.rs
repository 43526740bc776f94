//! Wrong shapes, dtypes and devices: every op panics with its own name, the shapes that do not fit, and the rule.

use ganvil::autograd::{GradOptions, grad, grad_with};
use ganvil::rng::Stream;
use ganvil::{
    ConvOptions, DType, Device, Generator, Interpolation, PadMode, Reduction, SpectralOrder, Tensor,
};
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::sync::Once;

thread_local!(static EXPECTED: Cell<bool> = const { Cell::new(false) });

/// The message and the file of a call that must panic; nothing is printed.
fn message(f: impl FnOnce() -> Tensor) -> (String, String) {
    thread_local!(static FILE: Cell<String> = const { Cell::new(String::new()) });
    static QUIET: Once = Once::new();
    QUIET.call_once(|| {
        let loud = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if EXPECTED.get() {
                FILE.set(info.location().map(Location::file).unwrap_or_default().to_string());
            } else {
                loud(info)
            }
        }));
    });
    EXPECTED.set(true);
    let result = catch_unwind(AssertUnwindSafe(f));
    EXPECTED.set(false);
    match result {
        Ok(y) => panic!("not refused, but {y:?}"),
        Err(payload) => {
            let message =
                payload.downcast_ref::<String>().cloned().expect("misuse panics with a formatted message");
            (message, FILE.take())
        }
    }
}

/// Asserts that a call panics with a message that starts with the op's name and contains all of `parts`, and that
/// the panic is located in the calling code.
#[track_caller]
fn refused(op: &str, parts: &[&str], f: impl FnOnce() -> Tensor) {
    let file = refused_somewhere(op, parts, f);
    assert_eq!(file, file!(), "{op}: the panic points into the library");
}

/// The same for a panic in the middle of a walk, far from the op's call; returns the file it is located in.
#[track_caller]
fn refused_somewhere(op: &str, parts: &[&str], f: impl FnOnce() -> Tensor) -> String {
    let (message, file) = message(f);
    assert!(message.starts_with(&format!("{op}: ")), "{op}: the message begins otherwise: {message}");
    for part in parts {
        assert!(message.contains(part), "{op}: no '{part}' in: {message}");
    }
    file
}

fn f32s(shape: &[usize]) -> Tensor {
    Tensor::ones(shape, DType::F32, Device::Cpu)
}

fn of(shape: &[usize], dtype: DType) -> Tensor {
    Tensor::ones(shape, dtype, Device::Cpu)
}

fn meta(shape: &[usize]) -> Tensor {
    f32s(shape).to_device(Device::Meta)
}

fn index(v: &[i64]) -> Tensor {
    Tensor::new(v, &[v.len()])
}

type Unary = (&'static str, fn(&Tensor) -> Tensor);
type Binary = (&'static str, fn(&Tensor, &Tensor) -> Tensor);

// Closures, because a call through a plain function pointer is located in the callee.
const FLOATS_ONLY: [Unary; 32] = [
    ("neg", |x| x.neg()),
    ("exp", |x| x.exp()),
    ("log", |x| x.log()),
    ("sqrt", |x| x.sqrt()),
    ("abs", |x| x.abs()),
    ("tanh", |x| x.tanh()),
    ("sigmoid", |x| x.sigmoid()),
    ("relu", |x| x.relu()),
    ("leaky_relu", |x| x.leaky_relu(0.2)),
    ("softplus", |x| x.softplus(1.0, 20.0)),
    ("pow", |x| x.pow(2.0)),
    ("clamp", |x| x.clamp(0.0, 1.0)),
    ("add_scalar", |x| x.add_scalar(1.0)),
    ("mul_scalar", |x| x.mul_scalar(1.0)),
    ("sum", |x| x.sum(&[0], false)),
    ("mean", |x| x.mean(&[0], false)),
    ("var", |x| x.var(&[0], true, false)),
    ("max", |x| x.max(&[0], false)),
    ("add", |x| x + x),
    ("sub", |x| x.sub(x)),
    ("mul", |x| x * x),
    ("div", |x| x.div(x)),
    ("maximum", |x| x.maximum(x)),
    ("minimum", |x| x.minimum(x)),
    ("norm", |x| x.norm(&[0], false)),
    ("cumsum", |x| x.cumsum(0)),
    ("l1", |x| x.l1(x, Reduction::Mean)),
    ("matmul", |x| x.matmul(x)),
    ("linear", |x| x.linear(x, None)),
    ("bce", |x| x.bce(x, Reduction::Mean)),
    ("bce_with_logits", |x| x.bce_with_logits(x, Reduction::Mean)),
    ("mse", |x| x.mse(x, Reduction::Mean)),
];

#[test]
fn integers_are_refused_by_arithmetic() {
    for (op, f) in FLOATS_ONLY {
        for dtype in [DType::I64, DType::U8] {
            refused(op, &[&format!("got {dtype}"), "[3, 3]", "to_dtype(DType::F32)"], || {
                f(&of(&[3, 3], dtype))
            });
        }
    }
    let i = of(&[2, 3], DType::I64);
    refused("where", &["got i64", "[2, 3]"], || of(&[2, 3], DType::U8).where_(&i, &i));
    refused("index_add", &["got i64", "[2, 3]"], || i.index_add(0, &index(&[0, 1]), &i));
    refused("scatter_add", &["got i64", "[2, 3]"], || i.scatter_add(0, &i, &i));
    refused("dropout", &["got i64", "[2, 3]"], || i.dropout(0.5, &Generator::new(0, Stream::Dropout)));
    refused("dropout", &["got i64", "[2, 3]"], || i.dropout_with_mask(&i, 0.5));
}

#[test]
fn half_precision_is_refused_where_there_is_no_kernel() {
    let c = of(&[3], DType::BF16);
    let x = of(&[4, 3], DType::BF16);
    let hint = ["takes f32 or f64, got bf16", "[4, 3]", "to_dtype(DType::F32)"];
    refused("batch_norm", &hint, || x.batch_norm(&c, &c, 1e-5).y);
    refused("batch_norm_eval", &hint, || x.batch_norm_eval(&c, &c, &c, &c, 1e-5));
    refused("dropout", &hint, || x.dropout(0.5, &Generator::new(0, Stream::Dropout)));
    let g = Generator::new(0, Stream::General);
    refused("random", &["f32 or f64, not f16", "[2]", "to_dtype"], || {
        g.uniform(&[2], 0.0, 1.0, DType::F16, Device::Cpu)
    });
    refused("random", &["f32 or f64, not i64", "[2]"], || g.normal(&[2], 0.0, 1.0, DType::I64, Device::Cpu));
}

/// Ops of two tensors that must have one dtype and device; both are given the same square shape.
const PAIRED: [Binary; 22] = [
    ("add", |a, b| a + b),
    ("sub", |a, b| a - b),
    ("mul", |a, b| a * b),
    ("div", |a, b| a / b),
    ("maximum", |a, b| a.maximum(b)),
    ("minimum", |a, b| a.minimum(b)),
    ("eq", |a, b| a.eq(b)),
    ("ne", |a, b| a.ne(b)),
    ("lt", |a, b| a.lt(b)),
    ("le", |a, b| a.le(b)),
    ("gt", |a, b| a.gt(b)),
    ("ge", |a, b| a.ge(b)),
    ("where", |a, b| Tensor::ones(&[2, 2], DType::U8, a.device()).where_(a, b)),
    ("matmul", |a, b| a.matmul(b)),
    ("linear", |a, b| a.linear(b, None)),
    ("cat", |a, b| Tensor::cat(&[a, b], 0)),
    ("stack", |a, b| Tensor::stack(&[a, b], 0)),
    ("l1", |a, b| a.l1(b, Reduction::Mean)),
    ("bce", |a, b| a.bce(b, Reduction::Mean)),
    ("bce_with_logits", |a, b| a.bce_with_logits(b, Reduction::Mean)),
    ("mse", |a, b| a.mse(b, Reduction::Mean)),
    ("dropout", |a, b| a.dropout_with_mask(b, 0.5)),
];

#[test]
fn dtypes_do_not_mix() {
    for (op, f) in PAIRED {
        refused(op, &["f32 (shape [2, 2])", "f64 (shape [2, 2])", "do not mix", "to_dtype"], || {
            f(&f32s(&[2, 2]), &of(&[2, 2], DType::F64))
        });
    }
    let (x, w, b) = (f32s(&[4, 3]), f32s(&[3]), of(&[3], DType::F64));
    refused("batch_norm", &["f32 (shape [4, 3])", "f64 (shape [3])"], || x.batch_norm(&w, &b, 1e-5).y);
    refused("batch_norm_eval", &["f64 (shape [3])"], || x.batch_norm_eval(&w, &w, &b, &w, 1e-5));
    refused("linear", &["f64 (shape [3])"], || x.linear(&f32s(&[3, 3]), Some(&b)));
    refused("index_add", &["do not mix"], || x.index_add(0, &index(&[0]), &of(&[1, 3], DType::F64)));
    refused("scatter_add", &["do not mix"], || {
        x.scatter_add(0, &of(&[1, 3], DType::I64), &of(&[1, 3], DType::F64))
    });
}

#[test]
fn devices_do_not_mix() {
    let hint = ["cpu (shape [2, 2])", "meta (shape [2, 2])", "different devices", "to_device"];
    for (op, f) in PAIRED {
        refused(op, &hint, || f(&f32s(&[2, 2]), &meta(&[2, 2])));
        refused(op, &hint, || f(&meta(&[2, 2]), &f32s(&[2, 2])));
    }
    let x = meta(&[2, 2]);
    let i = Tensor::zeros(&[2, 2], DType::I64, Device::Cpu);
    refused("gather", &hint, || x.gather(0, &i));
    refused("scatter_add", &hint, || x.scatter_add(0, &i, &f32s(&[2, 2])));
    refused("index_select", &["cpu (shape [1])", "meta (shape [2, 2])"], || x.index_select(0, &index(&[0])));
    refused("index_add", &["cpu (shape [1])", "meta (shape [2, 2])"], || x.index_add(0, &index(&[0]), &x));
    refused("embedding", &["cpu (shape [1])", "meta (shape [2, 2])"], || Tensor::embedding(&index(&[0]), &x));
    let (x, c) = (f32s(&[4, 3]), meta(&[3]));
    refused("batch_norm", &["cpu (shape [4, 3])", "meta (shape [3])"], || x.batch_norm(&c, &c, 1e-5).y);
    refused("linear", &["meta (shape [3])"], || x.linear(&f32s(&[3, 3]), Some(&c)));
}

const BROADCAST: [&str; 12] =
    ["add", "sub", "mul", "div", "maximum", "minimum", "eq", "ne", "lt", "le", "gt", "ge"];

#[test]
fn shapes_that_do_not_broadcast() {
    let elementwise = PAIRED.iter().filter(|p| BROADCAST.contains(&p.0));
    for (op, f) in elementwise {
        refused(op, &["[2, 3]", "[2]", "do not broadcast", "equal or 1"], || f(&f32s(&[2, 3]), &f32s(&[2])));
    }
    let c = of(&[4], DType::U8);
    refused("where", &["[4]", "[2, 3]", "[3]", "do not broadcast"], || c.where_(&f32s(&[2, 3]), &f32s(&[3])));
    refused("where", &["[4]", "[2, 3]", "[5]", "do not broadcast"], || c.where_(&f32s(&[2, 3]), &f32s(&[5])));
    refused("where", &["got f32", "[3]", "gt_scalar"], || f32s(&[3]).where_(&f32s(&[3]), &f32s(&[3])));
    refused("expand", &["[2, 3]", "[2, 4]", "sizes of 1"], || f32s(&[2, 3]).expand(&[2, 4]));
    refused("expand", &["[2, 3]", "[3]"], || f32s(&[2, 3]).expand(&[3]));
    for (op, f) in PAIRED.iter().filter(|p| ["bce", "bce_with_logits", "mse", "l1"].contains(&p.0)) {
        refused(op, &["[2, 3]", "[3]", "one shape", "expand the target"], || f(&f32s(&[2, 3]), &f32s(&[3])));
    }
}

#[test]
fn matrix_products() {
    refused("matmul", &["[2, 3]", "[4, 5]", "inner sizes"], || f32s(&[2, 3]).matmul(&f32s(&[4, 5])));
    refused("matmul", &["[3]", "[3, 2]", "unsqueeze"], || f32s(&[3]).matmul(&f32s(&[3, 2])));
    refused("matmul", &["[2, 4, 3]", "[5, 3, 1]", "batch"], || f32s(&[2, 4, 3]).matmul(&f32s(&[5, 3, 1])));
    refused("t", &["[3]", "at least 2"], || f32s(&[3]).t());
    refused("linear", &["[2, 3]", "[5, 4]", "[out, in]"], || f32s(&[2, 3]).linear(&f32s(&[5, 4]), None));
    refused("linear", &["[]", "[5, 4]"], || f32s(&[]).linear(&f32s(&[5, 4]), None));
    refused("linear", &["[2, 4]", "[5, 4]", "[3]", "[out] = [5]"], || {
        f32s(&[2, 4]).linear(&f32s(&[5, 4]), Some(&f32s(&[3])))
    });
}

#[test]
fn dimension_numbers() {
    let x = f32s(&[2, 3]);
    let range = ["dimension 2", "[2, 3]", "-2 to 1"];
    let cases: [Unary; 22] = [
        ("sum", |x| x.sum(&[2], false)),
        ("mean", |x| x.mean(&[2], false)),
        ("var", |x| x.var(&[2], false, false)),
        ("max", |x| x.max(&[2], false)),
        ("transpose", |x| x.transpose(0, 2)),
        ("permute", |x| x.permute(&[0, 2])),
        ("narrow", |x| x.narrow(2, 0, 1)),
        ("squeeze", |x| x.squeeze(2)),
        ("norm", |x| x.norm(&[2], false)),
        ("slice", |x| x.slice(2, 0, 1, 1)),
        ("split", |x| x.split(1, 2)[0].clone()),
        ("flip", |x| x.flip(&[2])),
        ("argmax", |x| x.argmax(2, false)),
        ("argsort", |x| x.argsort(2, false)),
        ("topk", |x| x.topk(1, 2).0),
        ("cumsum", |x| x.cumsum(2)),
        ("cat", |x| Tensor::cat(&[x], 2)),
        ("index_select", |x| x.index_select(2, &index(&[0]))),
        ("index_add", |x| x.index_add(2, &index(&[0]), x)),
        ("gather", |x| x.gather(2, &index(&[0]))),
        ("scatter_add", |x| x.scatter_add(2, &index(&[0]), x)),
        ("size", |x| f32s(&[x.size(2)])),
    ];
    for (op, f) in cases {
        refused(op, &range, || f(&x));
    }
    refused("unsqueeze", &["dimension 4", "[2, 3]", "-3 to 2"], || x.unsqueeze(4));
    refused("stack", &["dimension 3", "[2, 3]", "-3 to 2"], || Tensor::stack(&[&x], 3));
    refused("softmax", &range, || x.softmax(2));
    refused("log_softmax", &range, || x.log_softmax(2));
    refused("flip", &["dimension -1 is listed twice", "[2, 3]"], || x.flip(&[1, -1]));
    refused("argmax", &["no elements", "dimension 0 of shape [0, 3]"], || f32s(&[0, 3]).argmax(0, false));
    refused("topk", &["k = 2", "dimension 0 of shape [1]"], || f32s(&[]).topk(2, 0).0);
    refused("topk", &["k = 4", "dimension 1 of shape [2, 3]", "it has 3"], || x.topk(4, 1).0);
    refused("sum", &["dimension -3", "[2, 3]"], || x.sum(&[-3], false));
    refused("sum", &["dimension -1 is listed twice", "[1, -1]", "[2, 3]"], || x.sum(&[1, -1], false));
    refused("permute", &["listed twice", "[2, 3]"], || x.permute(&[1, 1]));
    refused("permute", &["all 2 dimensions", "[2, 3]", "[0]"], || x.permute(&[0]));
    refused("sum", &["no dimension 1", "[]"], || f32s(&[]).sum(&[1], false));
    refused("transpose", &["no dimension 0", "[]"], || f32s(&[]).transpose(0, 1));
    refused("max", &["[0, 3]", "no elements", "dims [0]"], || f32s(&[0, 3]).max(&[0], false));
}

#[test]
fn views() {
    let x = f32s(&[2, 3]);
    refused("reshape", &["[2, 3] has 6", "[4, 2] has 8", "stay the same"], || x.reshape(&[4, 2]));
    refused("reshape", &["9 dimensions", "at most 8"], || f32s(&[1]).reshape(&[1; 9]));
    refused("unsqueeze", &["9 dimensions", "at most 8"], || f32s(&[1; 8]).unsqueeze(0));
    refused("expand", &["9 dimensions", "at most 8"], || f32s(&[1; 8]).expand(&[1; 9]));
    refused("full", &["9 dimensions", "at most 8"], || f32s(&[1; 9]));
    refused("new", &["9 dimensions", "at most 8"], || Tensor::new(&[1f32], &[1; 9]));
    refused("embedding", &["9 dimensions"], || Tensor::embedding(&of(&[1; 8], DType::I64), &f32s(&[2, 1])));
    refused("new", &["5 elements", "[2, 3]", "6"], || Tensor::new(&[1f32; 5], &[2, 3]));
    refused("squeeze", &["dimension 1", "[2, 3]", "size 3, not 1"], || x.squeeze(1));
    refused("narrow", &["2..4", "dimension 1", "[2, 3]", "it has 3"], || x.narrow(1, 2, 2));
    refused("narrow", &["[2, 3]"], || x.narrow(1, usize::MAX, 2));
    refused("cat", &["[2, 3]", "[2, 4]", "dimension 0"], || Tensor::cat(&[&x, &f32s(&[2, 4])], 0));
    refused("cat", &["[2, 3]", "[3]"], || Tensor::cat(&[&x, &f32s(&[3])], 0));
    refused("cat", &["at least one"], || Tensor::cat(&[], 0));
    refused("stack", &["at least one"], || Tensor::stack(&[], 0));
    refused("stack", &["9 dimensions"], || Tensor::stack(&[&f32s(&[1; 8]), &f32s(&[1; 8])], 0));
    refused("stack", &["[2, 3]", "[2, 1]", "must be equal"], || Tensor::stack(&[&x, &f32s(&[2, 1])], 0));
    refused("slice", &["step of 0", "[2, 3]"], || x.slice(0, 0, 2, 0));
    refused("split", &["pieces of 0", "[2, 3]"], || x.split(0, 0)[0].clone());
    refused("diagonal", &["matrices", "[3]"], || f32s(&[3]).diagonal(0));
    refused("tril", &["matrices", "[3]"], || f32s(&[3]).tril(0));
    refused("triu", &["matrices", "[]"], || f32s(&[]).triu(0));
    refused("tril", &["got i64", "[2, 3]"], || of(&[2, 3], DType::I64).tril(0));
    refused("triu", &["got u8", "[2, 3]"], || of(&[2, 3], DType::U8).triu(0));
    refused("pad", &["[2, 3]", "[1, 1, 1]", "two numbers"], || x.pad(&[1, 1, 1], PadMode::Reflect));
    refused("pad", &["[2, 3]", "at most 2"], || x.pad(&[1; 6], PadMode::Constant(0.0)));
    refused("pad", &["reflection of 3", "dimension 1 of shape [2, 3]", "less than 3"], || {
        x.pad(&[0, 3], PadMode::Reflect)
    });
    for (dtype, value) in [(DType::I64, 0.5), (DType::U8, 300.0), (DType::I64, f64::NAN), (DType::U8, -1.0)] {
        let hint = [&format!("{value} is no {dtype}") as &str, "[2, 3]", "to_dtype"];
        refused("pad", &hint, || of(&[2, 3], dtype).pad(&[1, 1], PadMode::Constant(value)));
    }
    refused("pad", &["more elements"], || x.pad(&[usize::MAX, 1], PadMode::Constant(0.0)));
    let huge = [1 << 40, 1 << 40];
    refused("full", &["1099511627776", "more elements"], || f32s(&huge));
    refused("expand", &["1099511627776", "more elements"], || f32s(&[1, 1]).expand(&huge));
    refused("new", &["more elements"], || Tensor::new::<f32>(&[], &[usize::MAX, 2, 0]));
    refused("reshape", &["more elements"], || f32s(&[0]).reshape(&[0, usize::MAX, 2]));
    let tall = f32s(&[1, 1]).expand(&[1 << 40, 1]);
    refused("add", &["more elements"], || &tall + &f32s(&[1, 1]).expand(&[1, 1 << 40]));
    refused("matmul", &["more elements"], || tall.matmul(&f32s(&[1, 1]).expand(&[1, 1 << 40])));
}

#[test]
fn indices() {
    let x = f32s(&[3, 2]);
    let (wrong, high, low) = (f32s(&[1]), index(&[0, 3]), index(&[-1]));
    let dtype = ["must be i64, got f32", "[1]", "to_dtype(DType::I64)"];
    refused("index_select", &dtype, || x.index_select(0, &wrong));
    refused("index_add", &dtype, || x.index_add(0, &wrong, &x));
    refused("gather", &dtype, || x.gather(0, &wrong));
    refused("scatter_add", &dtype, || x.scatter_add(0, &wrong, &x));
    refused("embedding", &dtype, || Tensor::embedding(&wrong, &x));

    let above = ["index 3", "dimension 0 of shape [3, 2]", "0 to 2"];
    let below = ["index -1", "dimension 0 of shape [3, 2]", "0 to 2"];
    refused("index_select", &above, || x.index_select(0, &high));
    refused("index_select", &below, || x.index_select(0, &low));
    refused("index_add", &above, || x.index_add(0, &high, &f32s(&[2, 2])));
    refused("gather", &above, || x.gather(0, &high.unsqueeze(1)));
    refused("gather", &below, || x.gather(0, &low.unsqueeze(1)));
    refused("scatter_add", &above, || x.scatter_add(0, &high.unsqueeze(1), &f32s(&[2, 1])));
    refused("embedding", &above, || Tensor::embedding(&high, &x));
    refused("embedding", &below, || Tensor::embedding(&low, &x));
    refused("index_select", &["index 0", "[0, 2]", "empty"], || f32s(&[0, 2]).index_select(0, &index(&[0])));

    let square = of(&[2, 2], DType::I64);
    refused("index_select", &["vector", "[2, 2]", "[3, 2]"], || x.index_select(0, &square));
    refused("index_add", &["[3, 2]", "index [2, 2]", "src [2, 2]"], || {
        x.index_add(0, &square, &f32s(&[2, 2]))
    });
    refused("index_add", &["[3, 2]", "src [2, 2]", "src [5, 2]"], || x.index_add(0, &high, &f32s(&[5, 2])));
    refused("gather", &["[2]", "[3, 2]", "rank"], || x.gather(0, &index(&[0, 1])));
    refused("gather", &["[1, 3]", "[3, 2]", "no larger"], || x.gather(0, &of(&[1, 3], DType::I64)));
    refused("scatter_add", &["[2, 2]", "[3, 2]", "[1, 2]", "narrow"], || {
        x.scatter_add(0, &square, &f32s(&[1, 2]))
    });
    refused("embedding", &["[entries, width]", "[3]", "[1]"], || {
        Tensor::embedding(&index(&[0]), &f32s(&[3]))
    });
}

#[test]
fn classes() {
    let x = f32s(&[2, 3]);
    refused("cross_entropy", &["[N, C, ..]", "[2, 3]", "[3]"], || {
        x.cross_entropy(&index(&[0, 1, 2]), Reduction::Mean)
    });
    refused("cross_entropy", &["[3]", "[]"], || {
        f32s(&[3]).cross_entropy(&index(&[0]).reshape(&[]), Reduction::Mean)
    });
    refused("cross_entropy", &["index 3", "dimension 1 of shape [2, 3]", "0 to 2"], || {
        x.cross_entropy(&index(&[0, 3]), Reduction::Mean)
    });
    refused("cross_entropy", &["must be i64, got f32", "to_dtype(DType::I64)"], || {
        x.cross_entropy(&f32s(&[2]), Reduction::Mean)
    });
    for dtype in [DType::F16, DType::BF16, DType::U8] {
        let x = of(&[2, 3], dtype);
        let hint = [&format!("got {dtype}") as &str, "[2, 3]", "to_dtype(DType::F32)"];
        refused("softmax", &hint, || x.softmax(1));
        refused("log_softmax", &hint, || x.log_softmax(1));
        refused("cross_entropy", &hint, || x.cross_entropy(&index(&[0, 1]), Reduction::Mean));
    }
}

#[test]
fn parameters() {
    let x = f32s(&[2, 3]);
    let g = Generator::new(0, Stream::Dropout);
    refused("clamp", &["1 is above the upper bound 0"], || x.clamp(1.0, 0.0));
    refused("clamp", &["NaN"], || x.clamp(f64::NAN, 0.0));
    refused("softplus", &["positive", "got 0"], || x.softplus(0.0, 20.0));
    refused("dropout", &["[0, 1]", "got 1.5"], || x.dropout(1.5, &g));
    refused("dropout", &["[0, 1]", "got NaN"], || x.dropout_with_mask(&x, f64::NAN));
    refused("dropout", &["[3]", "[2, 3]"], || x.dropout_with_mask(&f32s(&[3]), 0.5));
    refused("bernoulli", &["[0, 1]", "got -0.5"], || g.bernoulli(&[2], -0.5, 1.0, DType::F32, Device::Cpu));
    let (u8s, i64s) = (of(&[2, 3], DType::U8), of(&[2, 3], DType::I64));
    refused("lt", &["256 is no u8", "[2, 3]", "to_dtype"], || u8s.lt_scalar(256.0));
    refused("gt", &["-1 is no u8"], || u8s.gt_scalar(-1.0));
    refused("ge", &["0.5 is no i64", "[2, 3]", "whole"], || i64s.ge_scalar(0.5));
    refused("eq", &["NaN is no i64"], || i64s.eq_scalar(f64::NAN));
}

#[test]
fn batch_norm() {
    let (x, c) = (f32s(&[4, 3]), f32s(&[3]));
    refused("batch_norm", &["[3]", "[batch, channels"], || c.batch_norm(&c, &c, 1e-5).y);
    refused("batch_norm", &["weight", "[channels] = [3]", "[4, 3]", "got [2]"], || {
        x.batch_norm(&f32s(&[2]), &c, 1e-5).y
    });
    refused("batch_norm", &["bias", "got [3, 1]"], || x.batch_norm(&c, &f32s(&[3, 1]), 1e-5).y);
    refused("batch_norm", &["[1, 3]", "larger batch"], || f32s(&[1, 3]).batch_norm(&c, &c, 1e-5).y);
    refused("batch_norm", &["[0, 3]", "larger batch"], || f32s(&[0, 3]).batch_norm(&c, &c, 1e-5).y);
    refused("batch_norm_eval", &["var", "[4, 3]", "got [1]"], || {
        x.batch_norm_eval(&c, &c, &c, &f32s(&[1]), 1e-5)
    });
    refused("batch_norm_eval", &["mean", "got []"], || x.batch_norm_eval(&c, &c, &f32s(&[]), &c, 1e-5));
}

#[test]
fn normalisation_within_samples() {
    let (x, c) = (f32s(&[2, 4, 3]), f32s(&[4]));
    refused("layer_norm", &["[4]", "last dimensions", "[2, 4, 3]"], || x.layer_norm(&[4], None, None, 1e-5));
    refused("layer_norm", &["[]", "at least one"], || x.layer_norm(&[], None, None, 1e-5));
    refused("layer_norm", &["weight must be [4, 3]", "[2, 4, 3]", "got [4]"], || {
        x.layer_norm(&[4, 3], Some(&c), None, 1e-5)
    });
    refused("group_norm", &["3 groups", "4 channels", "[2, 4, 3]"], || x.group_norm(3, None, None, 1e-5));
    refused("group_norm", &["0 groups"], || x.group_norm(0, None, None, 1e-5));
    refused("group_norm", &["[4]", "[batch, channels, ..]"], || c.group_norm(2, None, None, 1e-5));
    refused("group_norm", &["bias must be [4]", "got [2]"], || {
        x.group_norm(2, Some(&c), Some(&f32s(&[2])), 1e-5)
    });
    refused("group_norm", &["9 dimensions"], || f32s(&[1; 8]).group_norm(1, None, None, 1e-5));
    refused("group_norm", &["different devices"], || x.group_norm(2, Some(&meta(&[4])), None, 1e-5));
    refused("instance_norm", &["[3, 4]", "one position"], || f32s(&[3, 4]).instance_norm(None, None, 1e-5));
    refused("instance_norm", &["weight must be [4]", "got [3]"], || {
        x.instance_norm(Some(&f32s(&[3])), None, 1e-5)
    });
    for dtype in [DType::F16, DType::BF16, DType::I64] {
        let x = of(&[2, 4, 3], dtype);
        let hint = [&format!("got {dtype}") as &str, "[2, 4, 3]", "to_dtype(DType::F32)"];
        refused("layer_norm", &hint, || x.layer_norm(&[3], None, None, 1e-5));
        refused("group_norm", &hint, || x.group_norm(2, None, None, 1e-5));
        refused("instance_norm", &hint, || x.instance_norm(None, None, 1e-5));
    }
}

#[test]
fn values() {
    refused("to_vec", &["[2, 3]", "is f32, not f64", "to_dtype"], || {
        Tensor::from(&f32s(&[2, 3]).to_vec::<f64>()[..])
    });
    refused("to_vec", &["[2]", "meta", "no values"], || Tensor::from(&meta(&[2]).to_vec::<f32>()[..]));
    refused("to_f64_vec", &["[2]", "meta"], || Tensor::from(&meta(&[2]).to_f64_vec()[..]));
    refused("item", &["one element", "[2]"], || f32s(&[f32s(&[2]).item() as usize]));
    refused("item", &["[1]", "meta"], || f32s(&[meta(&[1]).item() as usize]));
    refused("to_device", &["[2]", "meta", "no values"], || meta(&[2]).to_device(Device::Cpu));
}

#[test]
fn gradients() {
    let x = f32s(&[2, 3]).requires_grad();
    let one = |g: Vec<Option<Tensor>>| g[0].clone().expect("a gradient");
    refused("requires_grad", &["i64", "to_dtype"], || of(&[2], DType::I64).requires_grad());
    refused("backward", &["[2, 3]", "does not require a gradient"], || {
        f32s(&[2, 3]).backward();
        f32s(&[])
    });
    refused("grad", &["output 0", "[2, 3]", "grad_outputs", "reduce"], || {
        x.exp().backward();
        f32s(&[])
    });
    refused("grad", &["input 0", "[3]", "does not require"], || {
        one(grad(&[&x.sum_all()], &[&f32s(&[3])], &[], false))
    });
    refused("grad", &["[2, 3]", "[3]"], || one(grad(&[&x.exp()], &[&x], &[f32s(&[3])], false)));
    refused("grad", &["f32", "f64"], || one(grad(&[&x.exp()], &[&x], &[of(&[2, 3], DType::F64)], false)));
    refused("grad", &["cpu", "meta"], || one(grad(&[&x.exp()], &[&x], &[meta(&[2, 3])], false)));
    refused("grad", &["1 outputs", "got 2"], || {
        one(grad(&[&x.exp()], &[&x], &[f32s(&[]), f32s(&[])], false))
    });
    refused_somewhere("tanh", &["walked before", "retain_graph"], || {
        let y = x.tanh();
        let options = GradOptions { grad_outputs: &[f32s(&[2, 3])], ..GradOptions::default() };
        one(grad_with(&[&y], &[&x], &options));
        one(grad_with(&[&y], &[&x], &options))
    });
    refused("bce", &["target", "detach"], || f32s(&[2, 3]).bce(&x, Reduction::Mean));
    refused("bce_with_logits", &["target", "detach"], || f32s(&[2, 3]).bce_with_logits(&x, Reduction::Mean));
    for (op, f) in PAIRED.iter().filter(|p| ["eq", "ne", "lt", "le", "gt", "ge"].contains(&p.0)) {
        refused(op, &["no derivative", "detach"], || {
            one(grad(&[&f(&x, &x).to_dtype(DType::F32).sum_all()], &[&x], &[], false))
        });
    }
    for (op, f) in [
        ("argmax", (|x| x.argmax(1, false)) as fn(&Tensor) -> Tensor),
        ("argsort", |x| x.argsort(1, false)),
        ("topk", |x| x.topk(1, 1).1),
    ] {
        refused(op, &["no derivative", "detach"], || {
            one(grad(&[&f(&x).to_dtype(DType::F32).sum_all()], &[&x], &[], false))
        });
    }
    refused("to_dtype", &["no derivative", "detach"], || {
        one(grad(&[&x.to_dtype(DType::I64).to_dtype(DType::F32).sum_all()], &[&x], &[], false))
    });
}

#[test]
fn convolutions_name_the_sizes_that_do_not_fit() {
    let (x, w) = (f32s(&[2, 4, 8, 8]), f32s(&[6, 4, 3, 3]));
    let plain = ConvOptions::new();
    let conv = |x: &Tensor, w: &Tensor, o: ConvOptions| x.conv2d(w, None, &o);
    let too_large = ["[2, 4, 8, 8]", "spans 9", "more than the 8", "more padding"];
    refused("conv2d", &too_large, || conv(&x, &f32s(&[1, 4, 9, 1]), plain));
    refused("conv2d", &["spans 9 with dilation 4"], || conv(&x, &w, plain.dilation(4)));
    refused("conv2d", &["stride is [0, 0]", "at least 1"], || conv(&x, &w, plain.stride(0)));
    refused("conv2d", &["dilation is [0, 0]"], || conv(&x, &w, plain.dilation(0)));
    refused("conv2d", &["groups is [0, 0]"], || conv(&x, &w, plain.groups(0)));
    refused("conv2d", &["groups 3 do not divide the 4 channels of x [2, 4, 8, 8]"], || {
        conv(&x, &w, plain.groups(3))
    });
    refused("conv2d", &["groups 4 do not divide", "the 6 of the weight"], || conv(&x, &w, plain.groups(4)));
    refused("conv2d", &["has 4 channels", "[6, 4, 3, 3] with groups 2 takes 8"], || {
        conv(&x, &w, plain.groups(2))
    });
    refused("conv2d", &["4 dimensions", "[2, 4, 8]"], || conv(&f32s(&[2, 4, 8]), &w, plain));
    refused("conv2d", &["kernel of weight [6, 4, 0, 3] is empty"], || conv(&x, &f32s(&[6, 4, 0, 3]), plain));
    refused("conv2d", &["bias [out] = [6]", "[4]"], || x.conv2d(&w, Some(&f32s(&[4])), &plain));
    refused("conv2d", &["f32 or f64", "f16"], || {
        conv(&x.to_dtype(DType::F16), &w.to_dtype(DType::F16), plain)
    });
    refused("conv2d", &["dtypes f32", "and f64"], || conv(&x, &w.to_dtype(DType::F64), plain));

    let back = |o: ConvOptions, p: [usize; 2]| f32s(&[2, 6, 2, 2]).conv_transpose2d(&w, None, &o, p);
    refused("conv_transpose2d", &["has 4 channels", "takes 6 (its first"], || {
        x.conv_transpose2d(&w, None, &plain, [0, 0])
    });
    let negative = ["[2, 6, 2, 2]", "spreads over 4", "padding 2 takes all", "less padding"];
    refused("conv_transpose2d", &negative, || back(plain.padding(2), [0, 0]));
    refused("conv_transpose2d", &["output_padding [2, 0] must be less than stride [2, 2]"], || {
        back(plain.stride(2), [2, 0])
    });
    refused("conv_transpose2d", &["stride is [0, 0]"], || back(plain.stride(0), [0, 0]));
    refused("conv_transpose2d", &["bias [out] = [4]"], || {
        f32s(&[2, 6, 2, 2]).conv_transpose2d(&w, Some(&f32s(&[6])), &plain, [0, 0])
    });

    refused("conv2d_weight_grad", &["of one n", "[3, 6, 6, 6]"], || {
        x.conv2d_weight_grad(&f32s(&[3, 6, 6, 6]), [3, 3], &plain)
    });
    refused("conv2d_weight_grad", &["gives images of [6, 6]", "[2, 6, 5, 6]"], || {
        x.conv2d_weight_grad(&f32s(&[2, 6, 5, 6]), [3, 3], &plain)
    });
    refused("modulated_conv2d", &["style [n, I]", "[2, 3]"], || {
        x.modulated_conv2d(&w, &f32s(&[2, 3]), [1, 1], None)
    });
}

#[test]
fn resampling() {
    let (x, f) = (f32s(&[2, 3, 4, 5]), f32s(&[2, 2]));
    let plain = |x: &Tensor, f: &Tensor| x.upfirdn2d(f, [1, 1], [1, 1], [0; 4]);
    refused("upfirdn2d", &["[batch, channels, height, width]", "[4, 5]"], || {
        f32s(&[4, 5]).upfirdn2d(&f, [1, 1], [1, 1], [0; 4])
    });
    refused("upfirdn2d", &["matrix", "[2]", "[2, 3, 4, 5]"], || {
        x.upfirdn2d(&f32s(&[2]), [1, 1], [1, 1], [0; 4])
    });
    refused("upfirdn2d", &["matrix", "[0, 2]"], || x.upfirdn2d(&f32s(&[0, 2]), [1, 1], [1, 1], [0; 4]));
    refused("upfirdn2d", &["constant", "[2, 2]", "detach"], || {
        x.upfirdn2d(&f32s(&[2, 2]).requires_grad(), [1, 1], [1, 1], [0; 4])
    });
    refused("upfirdn2d", &["up [0, 1]", "at least 1"], || x.upfirdn2d(&f, [0, 1], [1, 1], [0; 4]));
    refused("upfirdn2d", &["down [1, 0]", "at least 1"], || x.upfirdn2d(&f, [1, 1], [1, 0], [0; 4]));
    refused("upfirdn2d", &["[2, 2]", "does not fit", "[2, 3, 4, 5]", "[0, 0, -2, -1]", "pad more"], || {
        x.upfirdn2d(&f, [1, 1], [1, 1], [0, 0, -2, -1])
    });
    refused("upfirdn2d", &["more elements than any memory"], || {
        x.upfirdn2d(&f, [usize::MAX, usize::MAX], [1, 1], [0; 4])
    });
    refused("upfirdn2d", &["do not mix"], || x.upfirdn2d(&of(&[2, 2], DType::F64), [1, 1], [1, 1], [0; 4]));
    refused("upfirdn2d", &["different devices"], || x.upfirdn2d(&meta(&[2, 2]), [1, 1], [1, 1], [0; 4]));
    assert_eq!(plain(&x, &f).shape(), [2, 3, 3, 4]);
    let tracked = ganvil::no_grad(|| plain(&x, &f32s(&[2, 2]).requires_grad()));
    assert_eq!(tracked.to_vec::<f32>(), [4.0; 72], "nothing is recorded, so that nothing is lost");
    refused("interpolate", &["[0, 2]", "at least 1", "avg_pool2d"], || {
        x.interpolate([0, 2], Interpolation::Nearest)
    });
    refused("interpolate", &["[3]", "[batch, channels"], || {
        f32s(&[3]).interpolate([2, 2], Interpolation::Bilinear)
    });
    refused("interpolate", &["more elements"], || x.interpolate([usize::MAX, 2], Interpolation::Nearest));
    refused("pad", &["dimension 1", "[3, 0]", "replicate"], || {
        f32s(&[3, 0]).pad(&[1, 0], PadMode::Replicate)
    });
    for (op, f) in [
        ("upfirdn2d", (|x| x.upfirdn2d(x, [1, 1], [1, 1], [0; 4])) as fn(&Tensor) -> Tensor),
        ("interpolate", |x| x.interpolate([2, 2], Interpolation::Nearest)),
        ("avg_pool2d", |x| x.avg_pool2d([1, 1], [1, 1], [0, 0])),
        ("max_pool2d", |x| x.max_pool2d([1, 1], [1, 1], [0, 0])),
        ("adaptive_avg_pool2d", |x| x.adaptive_avg_pool2d([1, 1])),
        ("pixel_norm", |x| x.pixel_norm(1e-8)),
        ("minibatch_stddev", |x| x.minibatch_stddev(None, 1, 1e-8)),
    ] {
        for dtype in [DType::F16, DType::I64] {
            let hint = [&format!("got {dtype}") as &str, "[2, 3, 4, 5]", "to_dtype(DType::F32)"];
            refused_somewhere(op, &hint, || f(&of(&[2, 3, 4, 5], dtype)));
        }
    }
}

#[test]
fn pooling() {
    let x = f32s(&[2, 3, 4, 5]);
    type Pool = fn(&Tensor, [[usize; 2]; 3]) -> Tensor;
    let pools: [(&str, Pool); 2] = [
        ("avg_pool2d", |x, [k, s, p]| x.avg_pool2d(k, s, p)),
        ("max_pool2d", |x, [k, s, p]| x.max_pool2d(k, s, p)),
    ];
    for (op, pool) in pools {
        let fails = |parts: &[&str], window| refused(op, parts, || pool(&x, window));
        fails(&["kernel_size [5, 1]", "does not fit", "[2, 3, 4, 5]"], [[5, 1], [1, 1], [0, 0]]);
        fails(&["kernel_size [1, 8]", "padding [0, 1]", "smaller"], [[1, 8], [1, 1], [0, 1]]);
        fails(&["stride [0, 2]", "at least 1"], [[2, 2], [0, 2], [0, 0]]);
        fails(&["kernel_size [2, 0]", "at least 1"], [[2, 0], [2, 2], [0, 0]]);
        fails(&["padding [2, 0]", "half", "pad less"], [[3, 3], [2, 2], [2, 0]]);
        refused(op, &["[2, 3]", "[batch, channels, height, width]"], || {
            pool(&f32s(&[2, 3]), [[1, 1], [1, 1], [0, 0]])
        });
        refused(op, &["[2, 3, 0, 5]", "does not fit"], || {
            pool(&f32s(&[2, 3, 0, 5]), [[2, 2], [1, 1], [1, 1]])
        });
    }
    refused("adaptive_avg_pool2d", &["[2, 3, 4, 5]", "[0, 1]"], || x.adaptive_avg_pool2d([0, 1]));
    refused("adaptive_avg_pool2d", &["[2, 3, 0, 5]"], || f32s(&[2, 3, 0, 5]).adaptive_avg_pool2d([1, 1]));
}

#[test]
fn layers_of_images() {
    let x = f32s(&[6, 8, 2, 3]);
    refused("pixel_shuffle", &["8 channels", "3 x 3", "multiple of 9"], || x.pixel_shuffle(3));
    refused("pixel_shuffle", &["at least 1", "[6, 8, 2, 3]"], || x.pixel_shuffle(0));
    refused("pixel_shuffle", &["[3]", "[batch, channels"], || f32s(&[3]).pixel_shuffle(1));
    refused("pixel_unshuffle", &["[6, 8, 2, 3]", "2 x 2", "multiples of 2"], || x.pixel_unshuffle(2));
    refused("pixel_norm", &["[3]", "[batch, channels, ..]"], || f32s(&[3]).pixel_norm(1e-8));
    refused("minibatch_stddev", &["groups of 4", "[6, 8, 2, 3]", "divisor of 6"], || {
        x.minibatch_stddev(Some(4), 1, 1e-8)
    });
    refused("minibatch_stddev", &["num_channels 3", "8 channels"], || x.minibatch_stddev(None, 3, 1e-8));
    refused("minibatch_stddev", &["[0, 8, 2, 3]"], || f32s(&[0, 8, 2, 3]).minibatch_stddev(None, 1, 1e-8));
    let (class, table) = (index(&[0, 1, 0, 1, 0, 1]), f32s(&[2, 8]));
    refused("conditional_batch_norm", &["class [batch]", "[6, 8, 2, 3]", "[2]"], || {
        x.conditional_batch_norm(&index(&[0, 1]), &table, &table, 1e-5).y
    });
    refused("conditional_batch_norm", &["[classes, channels] = [_, 8]", "gamma is [2, 3]"], || {
        x.conditional_batch_norm(&class, &f32s(&[2, 3]), &table, 1e-5).y
    });
    refused("conditional_batch_norm", &["beta is [3, 8]"], || {
        x.conditional_batch_norm(&class, &table, &f32s(&[3, 8]), 1e-5).y
    });
    let c = f32s(&[8]);
    refused("conditional_batch_norm_eval", &["class [batch]"], || {
        x.conditional_batch_norm_eval(&index(&[0]), &table, &table, &c, &c, 1e-5)
    });
    let (w, u, v) = (f32s(&[4, 3, 2, 2]), f32s(&[4]), f32s(&[12]));
    let order = SpectralOrder::VFirst;
    refused("spectral_norm", &["u must be [3]", "[4, 3, 2, 2]", "dim 1", "got [4]"], || {
        w.spectral_norm(&u, &f32s(&[16]), 1, order, 1e-12).weight
    });
    refused("spectral_norm", &["v must be [12]", "got [4]"], || {
        w.spectral_norm(&u, &u, 0, order, 1e-12).weight
    });
    refused("spectral_norm_eval", &["u must be [4]", "got [12]"], || w.spectral_norm_eval(&v, &v, 0));
    refused("spectral_norm_eval", &["dimension 4 is out of range"], || w.spectral_norm_eval(&u, &v, 4));
    let (narrow, wide, bias, gamma) = (f32s(&[1, 8]), f32s(&[8, 8, 1, 1]), f32s(&[8]), f32s(&[1]));
    refused("self_attention", &["query must be [out, 8]", "[6, 8, 2, 3]", "got [8]"], || {
        x.self_attention((&bias, None), (&narrow, None), (&wide, None), &gamma)
    });
    refused("self_attention", &["equally many rows", "[1, 8]", "[8, 8, 1, 1]"], || {
        x.self_attention((&narrow, None), (&wide, None), (&wide, None), &gamma)
    });
    refused("self_attention", &["value 8", "[1, 8]"], || {
        x.self_attention((&narrow, None), (&narrow, None), (&narrow, None), &gamma)
    });
    refused("self_attention", &["bias of key", "[out]", "got [8]"], || {
        x.self_attention((&narrow, None), (&narrow, Some(&bias)), (&wide, None), &gamma)
    });
    refused("self_attention", &["gamma must be [1]", "got [8]"], || {
        x.self_attention((&narrow, None), (&narrow, None), (&wide, None), &bias)
    });
}
