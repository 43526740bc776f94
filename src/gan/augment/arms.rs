//! What a classifier is given to learn from.

use crate::names::unknown;
use crate::{Error, Result};
use serde::{Deserialize, Serialize};

/// A way to use n labelled images of each class.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Arm {
    /// These images alone.
    Real,
    /// The same under small random affine maps, new ones each time.
    Jitter,
    /// These and r n of each class from a GAN that was trained on them.
    Gan,
    /// Both: these and the GAN's, under small random affine maps.
    GanJitter,
    /// The GAN's images alone.
    GanOnly,
    /// Uses unlabelled images: these and r n for each class of the others, with the labels that arm `real`'s classifier
    /// gives them. No GAN: what `semi` is to be held against.
    Pseudo,
    /// Uses unlabelled images: these and r n of each class from a GAN that was trained on all training images, the
    /// unlabelled ones with the labels that arm `real`'s classifier gives them.
    Semi,
}

impl Arm {
    /// Every arm, each behind those that it is compared with.
    pub const ALL: [Arm; 7] =
        [Arm::Real, Arm::Jitter, Arm::Gan, Arm::GanJitter, Arm::GanOnly, Arm::Pseudo, Arm::Semi];

    /// The name in flags, files and tables.
    pub fn name(self) -> &'static str {
        match self {
            Arm::Real => "real",
            Arm::Jitter => "jitter",
            Arm::Gan => "gan",
            Arm::GanJitter => "gan-jitter",
            Arm::GanOnly => "gan-only",
            Arm::Pseudo => "pseudo",
            Arm::Semi => "semi",
        }
    }

    /// The arms that it is compared with.
    pub fn references(self) -> &'static [Arm] {
        match self {
            Arm::Real => &[],
            Arm::Jitter | Arm::Gan | Arm::GanOnly | Arm::Pseudo => &[Arm::Real],
            Arm::GanJitter => &[Arm::Real, Arm::Jitter],
            Arm::Semi => &[Arm::Real, Arm::Pseudo],
        }
    }

    /// Whether images are added, r for each labelled one.
    pub fn adds_images(self) -> bool {
        !matches!(self, Arm::Real | Arm::Jitter)
    }

    /// Whether the classifier sees its images under random maps.
    pub fn has_jitter(self) -> bool {
        matches!(self, Arm::Jitter | Arm::GanJitter)
    }

    /// Whether it needs images beyond the labelled ones.
    pub fn uses_unlabelled(self) -> bool {
        matches!(self, Arm::Pseudo | Arm::Semi)
    }

    /// These arms and those that they are compared with, in the order of [`Arm::ALL`].
    ///
    /// ```
    /// use ganvil::gan::augment::Arm;
    /// assert_eq!(Arm::with_references(&[Arm::GanJitter]), [Arm::Real, Arm::Jitter, Arm::GanJitter]);
    /// ```
    pub fn with_references(arms: &[Arm]) -> Vec<Arm> {
        let needed = |arm: &Arm| arms.iter().any(|a| a == arm || a.references().contains(arm));
        Arm::ALL.into_iter().filter(needed).collect()
    }
}

impl std::fmt::Display for Arm {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.pad(self.name())
    }
}

impl std::str::FromStr for Arm {
    type Err = Error;
    fn from_str(s: &str) -> Result<Arm> {
        let found = Arm::ALL.into_iter().find(|a| a.name() == s);
        found.ok_or_else(|| unknown("arm", s, &Arm::ALL.map(Arm::name)))
    }
}
