//! The optimisers' steps.

use super::attrs::Attrs;
use super::compare::Report;
use ganvil::Tensor;
use ganvil::optim::{Optimizer, Rule};
use serde_json::{Map, Value};

/// PyTorch's name of an optimiser's class.
fn class(op: &str) -> Option<&'static str> {
    match op {
        "sgd" => Some("SGD"),
        "adam" => Some("Adam"),
        "adamw" => Some("AdamW"),
        "rmsprop" => Some("RMSprop"),
        _ => None,
    }
}

pub fn is_known(op: &str) -> bool {
    class(op).is_some()
}

/// Settings of torch.optim that choose how a step is carried out, or a variant that is switched off. They stand
/// for what our rules do; any other value of them is refused.
const OFF: [&str; 1] = ["maximize"];

/// A rule from the arguments of torch.optim's constructor and the class's name. Arguments that the rule does not have
/// are errors.
pub fn rule(class: &str, mut arguments: Map<String, Value>) -> Result<Rule, String> {
    for name in OFF {
        if arguments.get(name) == Some(&Value::Bool(false)) {
            arguments.remove(name);
        }
    }
    arguments.insert("type".into(), class.into());
    serde_json::from_value(Value::Object(arguments)).map_err(|e| format!("optimiser {class}: {e}"))
}

fn of_attrs(op: &str, attrs: &Attrs) -> Result<Rule, String> {
    let mut arguments = attrs.all();
    arguments.remove("n_params");
    arguments.remove("steps");
    rule(class(op).ok_or_else(|| format!("optimiser {op} is not known"))?, arguments)
}

/// Parameters after each step.
pub fn run(report: &mut Report) -> Result<(), String> {
    let (f, place) = (report.fixture, report.place);
    let (count, steps) = (f.attrs.usize("n_params")?, f.attrs.usize("steps")?);
    let mut optimizer = Optimizer::new(of_attrs(&f.op, &f.attrs)?);
    let input = |i: usize| f.tensor(&format!("in.{i}"), place);
    let mut params: Vec<Tensor> = (0..count).map(input).collect::<Result<_, _>>()?;
    for t in 0..steps {
        let grads = (0..count).map(|i| input(count * (t + 1) + i).map(Some)).collect::<Result<_, _>>()?;
        optimizer.step(params.iter_mut().collect(), grads);
        for (i, p) in params.iter().enumerate() {
            report.value(&format!("out.{}", t * count + i), p);
        }
    }
    Ok(())
}
