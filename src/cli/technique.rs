//! The flags for techniques: each sets one entry of the settings.

use crate::gan::{
    Balance, DiffAugment, InstanceNoise, Loss, NormOfD, OrthogonalForm, SpectralNormOf, TrainConfig,
};
use crate::optim::Ema;
use crate::{Error, Result};
use std::str::FromStr;

#[derive(clap::Args)]
pub struct TechniqueArgs {
    /// Loss: bce, minimax, non-saturating, hinge, lsgan, wasserstein, relativistic-pairing or relativistic-average
    /// [default: the recipe's]
    #[arg(long, value_name = "NAME", help_heading = "Loss")]
    loss: Option<Loss>,
    /// Factor of D's loss: 1 sums its two terms, 0.5 averages them [default: the recipe's]
    #[arg(long, allow_negative_numbers = true, value_name = "F", help_heading = "Loss")]
    d_loss_scale: Option<f64>,
    /// Factor of G's loss [default: 1]
    #[arg(long, allow_negative_numbers = true, value_name = "F", help_heading = "Loss")]
    g_loss_scale: Option<f64>,
    /// Target of D on real samples; 0.9 smooths one side [default: 1]
    #[arg(long, allow_negative_numbers = true, value_name = "T", help_heading = "Loss")]
    real_label: Option<f64>,
    /// Probability that D is given the wrong labels of a pair, 0.05 say
    #[arg(long, allow_negative_numbers = true, value_name = "P", help_heading = "Loss")]
    flip_labels: Option<f64>,
    /// Let G match D's mean features, with this weight, in place of its loss
    #[arg(long, allow_negative_numbers = true, value_name = "W", help_heading = "Loss")]
    feature_matching: Option<f64>,
    /// Updates of D that G looks ahead and differentiates through
    #[arg(long, value_name = "K", help_heading = "Loss")]
    unroll: Option<usize>,
    /// Weight of the gradient penalty on D: WGAN-GP's, between data and samples
    #[arg(long, allow_negative_numbers = true, value_name = "W", help_heading = "Penalties")]
    gradient_penalty: Option<f64>,
    /// Weight of DRAGAN's gradient penalty on D, near data
    #[arg(long, allow_negative_numbers = true, value_name = "W", help_heading = "Penalties")]
    dragan: Option<f64>,
    /// Let these two punish slopes above 1 only
    #[arg(long, help_heading = "Penalties")]
    one_sided: bool,
    /// Weight of the R1 penalty (gamma) on D, at data
    #[arg(long, allow_negative_numbers = true, value_name = "W", help_heading = "Penalties")]
    r1: Option<f64>,
    /// Weight of the R2 penalty (gamma) on D, at samples
    #[arg(long, allow_negative_numbers = true, value_name = "W", help_heading = "Penalties")]
    r2: Option<f64>,
    /// Compute R1 and R2 in every N-th update of D only, N times as strong
    #[arg(long, value_name = "N", help_heading = "Penalties")]
    lazy: Option<usize>,
    /// Weight of the drift penalty on D's scores
    #[arg(long, allow_negative_numbers = true, value_name = "W", help_heading = "Penalties")]
    drift: Option<f64>,
    /// Bound of D's weights after each update (WGAN's)
    #[arg(long, allow_negative_numbers = true, value_name = "C", help_heading = "Penalties")]
    weight_clip: Option<f64>,
    /// Weight of the orthogonal regulariser of G
    #[arg(long, allow_negative_numbers = true, value_name = "W", help_heading = "Penalties")]
    orthogonal: Option<f64>,
    /// Its form: off-diagonal (BigGAN's) or full [default: off-diagonal]
    #[arg(long, value_name = "NAME", help_heading = "Penalties")]
    orthogonal_form: Option<OrthogonalForm>,
    /// Spectral normalisation of: recipe (as it has it), d or both [default: recipe]
    #[arg(long, value_name = "OF", help_heading = "Networks")]
    spectral_norm: Option<SpectralNormOf>,
    /// In place of D's batch norm: recipe (batch norm), off, layer or instance [default: recipe]
    #[arg(long, value_name = "NAME", help_heading = "Networks")]
    norm_d: Option<NormOfD>,
    /// Show D the deviation over groups of N samples
    #[arg(long, value_name = "N", help_heading = "Networks")]
    minibatch_stddev: Option<usize>,
    /// Give D N features of minibatch discrimination
    #[arg(long, value_name = "N", help_heading = "Networks")]
    minibatch_discrimination: Option<usize>,
    /// Let D judge M samples at a time (PacGAN)
    #[arg(long, value_name = "M", help_heading = "Networks")]
    pack: Option<usize>,
    /// Alter what D sees: color, translation, cutout, or several with commas (DiffAugment)
    #[arg(long, value_name = "WHICH", help_heading = "What D sees")]
    augment: Option<DiffAugment>,
    /// Noise on what D sees: STD, or STD:KIMG to say after how many thousand images it is gone [default KIMG: 300]
    #[arg(long, value_name = "STD", allow_hyphen_values = true, value_parser = instance_noise, help_heading = "What D sees")]
    instance_noise: Option<InstanceNoise>,
    /// Updates of D per step [default: the recipe's]
    #[arg(long, value_name = "N", help_heading = "Balance")]
    n_d: Option<usize>,
    /// Updates of G per step [default: 1]
    #[arg(long, value_name = "N", help_heading = "Balance")]
    n_g: Option<usize>,
    /// What holds D back: fixed (nothing), accuracy (skips its updates above 80 %) or loss-ratio [default: fixed]
    #[arg(long, value_name = "RULE", help_heading = "Balance")]
    balance: Option<Balance>,
    /// Whether G's update reuses the fakes of D's: true or false [default: the recipe's]
    #[arg(long, value_name = "BOOL", help_heading = "Balance")]
    reuse_fakes: Option<bool>,
    /// Half-life of G's moving average in thousands of images, 0 for none [default: 10]
    #[arg(long, allow_negative_numbers = true, value_name = "KIMG", help_heading = "Balance")]
    ema: Option<f64>,
}

/// `0.1` or `0.1:300`.
fn instance_noise(text: &str) -> std::result::Result<InstanceNoise, String> {
    let (std, kimg) = text.split_once(':').unwrap_or((text, "300"));
    let number = |what: &str, s: &str| f64::from_str(s).map_err(|e| format!("{what} '{s}': {e}"));
    let noise = InstanceNoise { std: number("STD", std)?, kimg: number("KIMG", kimg)? };
    noise.check().map_err(|e| e.to_string())?;
    Ok(noise)
}

impl TechniqueArgs {
    /// Puts what was given into the settings.
    pub fn apply(&self, c: &mut TrainConfig) -> Result<()> {
        fn set<T: Copy>(to: &mut T, flag: Option<T>) {
            if let Some(v) = flag {
                *to = v;
            }
        }
        let s = &mut c.step;
        set(&mut s.loss, self.loss);
        set(&mut s.d_loss_scale, self.d_loss_scale);
        set(&mut s.g_loss_scale, self.g_loss_scale);
        set(&mut s.real_label, self.real_label);
        set(&mut s.unroll, self.unroll);
        set(&mut s.lazy, self.lazy);
        set(&mut s.orthogonal_form, self.orthogonal_form);
        set(&mut s.pack, self.pack);
        set(&mut s.n_d, self.n_d);
        set(&mut s.n_g, self.n_g);
        set(&mut s.balance, self.balance);
        set(&mut s.reuse_fakes, self.reuse_fakes);
        s.one_sided |= self.one_sided;
        s.flip_labels = self.flip_labels.or(s.flip_labels);
        s.feature_matching = self.feature_matching.or(s.feature_matching);
        s.gradient_penalty = self.gradient_penalty.or(s.gradient_penalty);
        s.dragan = self.dragan.or(s.dragan);
        s.r1 = self.r1.or(s.r1);
        s.r2 = self.r2.or(s.r2);
        s.drift = self.drift.or(s.drift);
        s.weight_clip = self.weight_clip.or(s.weight_clip);
        s.orthogonal = self.orthogonal.or(s.orthogonal);
        s.augment = self.augment.or(s.augment);
        s.instance_noise = self.instance_noise.or(s.instance_noise);
        let n = &mut c.networks;
        set(&mut n.spectral_norm, self.spectral_norm);
        set(&mut n.norm_d, self.norm_d);
        n.minibatch_stddev = self.minibatch_stddev.or(n.minibatch_stddev);
        n.minibatch_discrimination = self.minibatch_discrimination.or(n.minibatch_discrimination);
        match self.ema {
            Some(0.0) => c.step.ema = None,
            Some(v) if v > 0.0 && v.is_finite() => {
                c.step.ema = Some(Ema { half_life_kimg: v, ..Ema::default() })
            }
            Some(v) => {
                let remedy = "a half-life in thousands of images, or 0 for no average".into();
                return Err(Error::Argument { what: "--ema", value: v.to_string(), remedy });
            }
            None => {}
        }
        Ok(())
    }
}
