//! Metrics of stored features. They compute on the host in f64 wherever the features are; features in f32 go through the
//! same code.

use super::compare::Report;
use ganvil::metrics::{
    Pair, Subsets, classifier_score, density_coverage, frechet_distance, js_divergence, kernel_distance,
    precision_recall,
};
use ganvil::{DType, Tensor};

/// The metrics that are known.
pub fn is_known(op: &str) -> bool {
    let known = ["fid", "kid", "inception_score", "precision_recall", "density_coverage", "jsd"];
    known.contains(&op)
}

/// Computes and compares.
pub fn run(report: &mut Report) -> Result<(), String> {
    let (f, place) = (report.fixture, report.place);
    let input = |i: usize| f.tensor(&format!("in.{i}"), place);
    let attrs = &f.attrs;
    let values = match f.op.as_str() {
        "inception_score" => {
            let s = classifier_score(&input(0)?, attrs.usize("splits")?);
            vec![s.mean, s.deviation]
        }
        "jsd" => {
            if attrs.str("base")? != "e" {
                return Err("divergences are known in nats, base e".into());
            }
            let [p, q] = [input(0)?, input(1)?].map(|t| t.to_f64_vec());
            vec![js_divergence(&p, &q)]
        }
        op => {
            let (real, fake) = (input(0)?, input(1)?);
            let pair = Pair { real: &real, fake: &fake };
            match op {
                "fid" => {
                    // Says why the file's tolerance is what it is.
                    attrs.get("rank_deficient");
                    vec![frechet_distance(pair)]
                }
                "kid" => {
                    let d = kernel_distance(pair, &subsets(report, &real, &fake)?);
                    vec![d.mean, d.deviation]
                }
                "precision_recall" => {
                    let p = precision_recall(pair, attrs.usize("k")?);
                    vec![p.precision, p.recall]
                }
                "density_coverage" => {
                    let d = density_coverage(pair, attrs.usize("k")?);
                    vec![d.density, d.coverage]
                }
                op => return Err(format!("metric {op} is not known")),
            }
        }
    };
    compare(report, &values);
    Ok(())
}

/// The subsets in the file, or all samples.
fn subsets(report: &mut Report, real: &Tensor, fake: &Tensor) -> Result<Subsets, String> {
    let f = report.fixture;
    let known = (
        f.attrs.f64("degree")?,
        f.attrs.f64_or_null("gamma")?,
        f.attrs.f64("coef0")?,
        f.attrs.str("estimator")?,
    );
    if known != (3.0, None, 1.0, "unbiased") {
        return Err(format!("the kernel {known:?} is not known; (x . y / d + 1)^3 without bias is"));
    }
    if f.attrs.bool("full_set")? {
        return Ok(Subsets::whole([real.shape()[0], fake.shape()[0]]));
    }
    let mut read = |name: &str| -> Result<Vec<Vec<usize>>, String> {
        let array = f.array(name)?;
        let wanted = [f.attrs.usize("subsets")?, f.attrs.usize("subset_size")?];
        if array.shape != wanted {
            return Err(format!("{name} has shape {:?}, the attributes say {wanted:?}", array.shape));
        }
        report.mark(name);
        Ok(array.to_f64().chunks_exact(wanted[1]).map(|s| s.iter().map(|i| *i as usize).collect()).collect())
    };
    Ok(Subsets { real: read("in.2")?, fake: read("in.3")? })
}

/// One number each.
fn compare(report: &mut Report, values: &[f64]) {
    let place = report.place;
    let one = |v: &f64| Tensor::scalar(*v, DType::F64, place.device).to_dtype(place.dtype);
    if report.fixture.arrays.contains_key("out") {
        report.value("out", &one(&values[0]));
        return;
    }
    values.iter().enumerate().for_each(|(i, v)| report.value(&format!("out.{i}"), &one(v)));
}
