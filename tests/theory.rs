//! `ganvil theory`: what the experiments measure is what the theory says, and what the command leaves behind.

use common::{Scratch, fails, run, text};
use ganvil::gan::theory::{EXPERIMENTS, Options, Outcome, experiment, label_smoothing::best_logit};
use serde_json::Value;
use std::f64::consts::LN_2;

mod common;

fn outcome(name: &str) -> Outcome {
    experiment(name).unwrap().run(&Options::default()).unwrap()
}

/// The largest size of a column's numbers.
fn largest(values: impl IntoIterator<Item = f64>) -> f64 {
    values.into_iter().map(f64::abs).fold(0.0, f64::max)
}

#[test]
fn a_trained_discriminator_is_near_the_best_one() {
    let table = outcome("optimal-discriminator").table;
    let [mean, worst] = ["mean |D - D*|", "max |D - D*|"].map(|c| table.column(c));
    assert_eq!(worst.len(), 2);
    assert!(largest(worst.clone()) < 0.05, "{worst:?}");
    assert!(mean.iter().zip(&worst).all(|(m, w)| *m > 0.0 && m < w), "{mean:?} {worst:?}");
}

#[test]
fn the_value_of_the_game_is_twice_the_divergence_minus_log_4() {
    let table = outcome("value-and-jsd").table;
    let [mean, jsd, theory, v, undecided] =
        ["G mean", "JSD", "-log 4 + 2 JSD", "V(D, G)", "max |D - 1/2|"].map(|c| table.column(c));
    assert!(mean.len() >= 8 && mean[0] > 5.0 && mean[mean.len() - 1] == 0.0);
    let differences: Vec<f64> = v.iter().zip(&jsd).map(|(v, j)| v - (2.0 * j - 4f64.ln())).collect();
    assert!(largest(differences.clone()) < 1e-2, "{differences:?}");
    // The theory's value is the maximum over all D: quadrature aside, none is above it.
    assert!(differences.iter().all(|d| *d < 1e-9), "{differences:?}");
    assert!(theory.windows(2).all(|w| w[1] < w[0]), "{theory:?}");
    let last = mean.len() - 1;
    assert!(jsd[last].abs() < 1e-12 && (v[last] + 2.0 * LN_2).abs() < 1e-3 && undecided[last] < 0.05);
}

#[test]
fn slopes_are_those_of_the_formulas_and_of_differences() {
    let table = outcome("saturation").table;
    let [a, mm, ns, hinge, w, formula, differences] =
        ["logit a", "minimax", "non-saturating", "hinge", "Wasserstein", "off formula", "off differences"]
            .map(|c| table.column(c));
    assert_eq!((a[0], a[a.len() - 1]), (-10.0, 10.0));
    for (i, a) in a.iter().enumerate() {
        let d = 1.0 / (1.0 + (-a).exp());
        // Sums of a few terms of order 1 in f64.
        assert!((mm[i] + d).abs() < 1e-14 && (ns[i] - (d - 1.0)).abs() < 1e-14, "a = {a}");
        assert_eq!((hinge[i], w[i]), (-1.0, -1.0));
    }
    assert!(largest(formula) < 1e-14);
    // Central differences of step h = 1e-5: h^2 / 6 of truncation, 10 eps / h of rounding.
    assert!(largest(differences) < 1e-9);
}

#[test]
fn on_disjoint_lines_jsd_is_blind_and_the_critic_is_not() {
    let table = outcome("disjoint-supports").table;
    let [theta, jsd, w1, gap, d_loss, minimax, critic] =
        ["theta", "JSD", "W1", "critic's gap", "D's loss", "slope minimax", "slope critic"]
            .map(|c| table.column(c));
    for i in 0..theta.len() {
        let t = theta[i];
        // n matched samples of a line lie sqrt(1 / n) apart or less.
        assert!(w1[i] >= t && w1[i] < t + 0.02, "{t}: {}", w1[i]);
        if t == 0.0 {
            assert!(jsd[i] < 1e-2 && (d_loss[i] - 2.0 * LN_2).abs() < 0.01 && gap[i].abs() < 0.05);
            continue;
        }
        assert!((jsd[i] - LN_2).abs() < 1e-9, "{t}: {}", jsd[i]);
        // The penalty of weight 10 lets the slope go to 1 + t / 20.
        assert!((gap[i] - t * (1.0 + t / 20.0)).abs() < 0.02, "{t}: {}", gap[i]);
        assert!((critic[i] - 1.0 - t / 20.0).abs() < 0.05, "{t}: {}", critic[i]);
        assert!(d_loss[i] < 0.01 && minimax[i] > 0.0 && minimax[i] < 0.01, "{t}: {}", minimax[i]);
    }
}

#[test]
fn the_bilinear_game_grows_by_its_eigenvalue() {
    let table = outcome("bilinear-game").table;
    let [measured, end] = ["growth per step", "distance at the end"].map(|c| table.column(c));
    let (eta, gamma) = (0.1f64, 0.5);
    let determinants = [1.0 + eta * eta, 1.0, 1.0 - eta * gamma + eta * eta, 1.0 - eta * gamma];
    for (m, det) in measured.iter().zip(determinants) {
        // 150 steps of a few roundings each, and the root of their product.
        assert!((m - det.sqrt()).abs() < 1e-12, "{m} for {}", det.sqrt());
    }
    assert!(end[0] > 2.0 && (end[1] - 1.0).abs() < 0.06 && end[2] < 0.1 && end[3] < 0.1, "{end:?}");
}

#[test]
fn a_discriminator_can_be_too_weak_and_too_strong() {
    let table = outcome("update-balance").table;
    assert_eq!(table.column("k"), [0.0, 1.0, 5.0, 25.0, 125.0, 625.0]);
    let [mm, ns, w, cos, least] =
        ["norm minimax", "norm non-saturating", "norm critic", "cos minimax", "least cos minimax"]
            .map(|c| table.column(c));
    assert!(least[0] < 0.0 && cos[0].abs() < 0.5, "an untrained D has no direction: {cos:?} {least:?}");
    assert!(least[3] > 0.5, "{least:?}");
    assert!(mm[5] < 0.05 * largest(mm.clone()), "{mm:?}");
    assert!(ns[5] > 1.0 && w[5] > 0.5, "{ns:?} {w:?}");
}

#[test]
fn smoothed_labels_move_the_best_discriminator() {
    let table = outcome("label-smoothing").table;
    let [off, d, a, fake, pull] =
        ["max |D - D*|", "mean D(x)", "mean logit of x", "mean D(G(z))", "pull on fakes"]
            .map(|c| table.column(c));
    // Two rows for each of: none, one-sided, both sides.
    assert!(largest(off.clone()) < 0.05, "{off:?}");
    assert!((d[3] - 0.9).abs() < 0.01 && (a[3] - 9f64.ln()).abs() < 0.1, "{d:?} {a:?}");
    assert!(fake[3] < 0.01 && (fake[5] - 0.1).abs() < 0.01, "{fake:?}");
    assert!(pull[2] > 3.0 * pull[4], "one-sided fakes are pulled, others are not: {pull:?}");
    assert!((best_logit(0.9) - 9f64.ln()).abs() < 1e-12);
}

#[test]
fn distant_noise_has_one_sample_and_some_points_have_none() {
    let table = outcome("not-injective").table;
    let [z, x, residual] =
        ["distance of the z", "distance of the samples", "residual / sigma"].map(|c| table.column(c));
    // Samples of single precision near 1.
    let equal = (0..z.len()).filter(|&i| z[i] > 1.0 && x[i] < 1e-6);
    assert!(equal.count() >= 3, "{z:?} {x:?}");
    let quantiles: Vec<f64> = residual.into_iter().filter(|r| !r.is_nan()).collect();
    assert!(quantiles[0] < 1e-3 && quantiles[2] > 0.1, "{quantiles:?}");
}

#[test]
fn each_score_is_fooled_by_a_generator() {
    let found = outcome("one-score-is-not-enough");
    let [modes, good, kl, chance, width] =
        ["modes", "% good", "reverse KL", "KL by chance", "width"].map(|c| found.table.column(c));
    // Rows: real data, collapsed, blurred, narrow, uneven, sprinkled.
    assert_eq!(modes, [25.0, 1.0, 25.0, 25.0, 25.0, 25.0]);
    assert!(good[1] > 98.0 && good[2] < 50.0 && good[3] > good[0] && good[4] > 98.0 && good[5] < 10.0);
    assert!([2, 3, 5].iter().all(|&i| kl[i] < 2.0 * chance[i]) && kl[1] > 3.0 && kl[4] > 2.0, "{kl:?}");
    assert!((width[0] - 0.974).abs() < 0.03 && (width[3] - 0.33).abs() < 0.03, "{width:?}");
    for score in &found.findings[..4] {
        assert!(score.contains(" alone, as good as real data: ") && !score.contains("none"), "{score}");
    }
    assert!(found.findings[4].ends_with("none of them."), "{:?}", found.findings);
}

#[test]
fn numbers_follow_from_the_seed_and_not_from_the_threads() {
    for name in ["update-balance", "not-injective"] {
        let on = |n: usize, seed| {
            ganvil::threads(n, || {
                experiment(name).unwrap().run(&Options { seed, ..Options::default() }).unwrap()
            })
        };
        let (one, two) = (on(1, 3), on(2, 3));
        assert_eq!(one.table.csv(), two.table.csv(), "{name}");
        assert_eq!((one.panels, one.findings), (two.panels, two.findings), "{name}");
    }
    let seeds = [0, 1].map(|seed| {
        experiment("update-balance").unwrap().run(&Options { seed, ..Options::default() }).unwrap().table
    });
    assert_ne!(seeds[0], seeds[1]);
}

#[test]
fn the_command_writes_a_picture_and_a_table() {
    let scratch = Scratch::new("theory");
    let dir = scratch.path("new/figures");
    let plain = run(&["theory", "bilinear-game", "--out", &dir]);
    assert!(plain.status.success(), "{}", text(&plain.stderr));
    let said = text(&plain.stdout);
    let e = experiment("bilinear-game").unwrap();
    assert!(said.starts_with(&format!("bilinear-game: {}\n", e.summary)), "{said}");
    assert!(said.contains("growth per step") && said.contains("- alternating: orbits."), "{said}");
    assert!(said.lines().all(|l| l.chars().count() <= 100), "{said}");
    let file = |extension: &str| std::fs::read(format!("{dir}/bilinear-game.{extension}")).unwrap();
    assert_eq!(&file("png")[1..4], b"PNG");
    assert!(text(&file("svg")).contains("Distance from the equilibrium"));
    let written = text(&plain.stderr);
    assert!(
        ["png", "svg", "csv"].iter().all(|x| written.contains(&format!("bilinear-game.{x}"))),
        "{written}"
    );
    assert_eq!(std::fs::read_dir(&dir).unwrap().count(), 3, "nothing half-written is left");

    let json = run(&["theory", "bilinear-game", "--out", &dir, "--json", "--threads", "1"]);
    let json: Value = serde_json::from_str(&text(&json.stdout)).unwrap();
    assert_eq!((json["experiment"].as_str(), json["seed"].as_u64()), (Some("bilinear-game"), Some(0)));
    assert_eq!(text(&file("csv")), outcome("bilinear-game").table.csv());
    let columns: Vec<&str> =
        json["columns"].as_array().unwrap().iter().map(|c| c.as_str().unwrap()).collect();
    assert_eq!(text(&file("csv")).lines().next().unwrap(), columns.join(","));
    assert_eq!(json["rows"][1]["play"], "alternating");
    assert_eq!(json["findings"].as_array().unwrap().len(), 4);
}

#[test]
fn the_command_lists_and_refuses() {
    let list = text(&run(&["theory"]).stdout);
    assert_eq!(list.lines().count(), EXPERIMENTS.len());
    for (line, e) in list.lines().zip(&EXPERIMENTS) {
        assert!(line.starts_with(e.name) && line.ends_with(e.summary) && line.len() <= 100, "{line}");
    }
    let json: Value = serde_json::from_str(&text(&run(&["theory", "--json"]).stdout)).unwrap();
    assert_eq!(json[2]["experiment"], "saturation");
    let (code, err) = fails(&["theory", "bilinear-gmae"]);
    assert_eq!(code, 2);
    assert!(err.contains("did you mean 'bilinear-game'?") && err.contains("update-balance"), "{err}");
    assert_eq!(fails(&["theory", "saturation", "--threads", "0"]).0, 2);
    let scratch = Scratch::new("theory-file");
    std::fs::write(scratch.path("taken"), "").unwrap();
    let (code, err) = fails(&["theory", "saturation", "--out", &scratch.path("taken")]);
    assert!(code == 1 && err.contains("taken"), "{err}");
}
