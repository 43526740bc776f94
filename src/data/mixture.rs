//! Mixtures of equal round Gaussians in the plane, the classic test of whether a generator drops modes.

use rand::RngExt;
use rand::distr::{Distribution, weighted::WeightedIndex};
use rand_distr::StandardNormal;
use std::f64::consts::TAU;

/// p(x) = sum_i w_i N(x; c_i, sigma^2 I), in two dimensions.
///
/// ```
/// use ganvil::data::Mixture;
///
/// let ring = Mixture::ring(8, 1.0, 0.01);
/// assert_eq!(ring.modes(), 8);
/// assert_eq!(ring.centres[0], [1.0, 0.0]);
/// let (mode, distance) = ring.nearest([0.0, 1.5]);
/// assert_eq!(mode, 2); // a quarter of the way round
/// assert!((distance - 0.5).abs() < 1e-12);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Mixture {
    /// The means c_i.
    pub centres: Vec<[f64; 2]>,
    /// The standard deviation of every component along either axis.
    pub sigma: f64,
    /// The share w_i of each component; they sum to 1.
    pub weights: Vec<f64>,
}

impl Mixture {
    /// Components of equal weight.
    fn equal(centres: Vec<[f64; 2]>, sigma: f64) -> Mixture {
        let weights = vec![1.0 / centres.len() as f64; centres.len()];
        Mixture { centres, sigma, weights }
    }

    /// `modes` components of equal weight at radius (cos, sin)(2 pi i / modes) for i = 0 .. modes - 1. The angle 2 pi
    /// is left out: with it, as an inclusive range of `modes` angles has it, the first and the last would coincide.
    ///
    /// ```
    /// # use ganvil::data::Mixture;
    /// let square = Mixture::ring(4, 2.0, 0.1);
    /// assert!((square.centres[3][1] + 2.0).abs() < 1e-12);
    /// assert_eq!(square.weights, [0.25; 4]);
    /// ```
    pub fn ring(modes: usize, radius: f64, sigma: f64) -> Mixture {
        let angle = |i: usize| TAU * i as f64 / modes as f64;
        Mixture::equal(
            (0..modes).map(|i| [radius * angle(i).cos(), radius * angle(i).sin()]).collect(),
            sigma,
        )
    }

    /// A component of equal weight at every pair of the coordinates, the second running fastest.
    ///
    /// ```
    /// # use ganvil::data::Mixture;
    /// let grid = Mixture::grid(&[-1.0, 1.0], 0.1);
    /// assert_eq!(grid.centres, [[-1.0, -1.0], [-1.0, 1.0], [1.0, -1.0], [1.0, 1.0]]);
    /// ```
    pub fn grid(coordinates: &[f64], sigma: f64) -> Mixture {
        let row = |&x: &f64| coordinates.iter().map(move |&y| [x, y]);
        Mixture::equal(coordinates.iter().flat_map(row).collect(), sigma)
    }

    /// The same components in other proportions: `shares` are scaled to sum to 1.
    ///
    /// ```
    /// # use ganvil::data::Mixture;
    /// let uneven = Mixture::ring(2, 1.0, 0.1).weighted(&[3.0, 1.0]);
    /// assert_eq!(uneven.weights, [0.75, 0.25]);
    /// ```
    ///
    /// # Panics
    /// Unless there is a positive share for each component.
    #[track_caller]
    pub fn weighted(self, shares: &[f64]) -> Mixture {
        let positive = shares.iter().all(|s| s.is_finite() && *s > 0.0);
        assert!(positive && shares.len() == self.modes(), "a mixture needs a positive share for each mode");
        let sum: f64 = shares.iter().sum();
        Mixture { weights: shares.iter().map(|s| s / sum).collect(), ..self }
    }

    /// Number of components.
    ///
    /// ```
    /// # use ganvil::data::Mixture;
    /// assert_eq!(Mixture::grid(&[0.0, 1.0, 2.0], 0.1).modes(), 9);
    /// ```
    pub fn modes(&self) -> usize {
        self.centres.len()
    }

    /// The component whose centre is nearest to a point, the first of several, and the Euclidean distance to it;
    /// not a finite distance if a coordinate of the point is not finite.
    ///
    /// ```
    /// # use ganvil::data::Mixture;
    /// assert_eq!(Mixture::grid(&[0.0, 4.0], 0.1).nearest([3.0, 4.0]), (3, 1.0));
    /// ```
    pub fn nearest(&self, [x, y]: [f64; 2]) -> (usize, f64) {
        let distances = self.centres.iter().map(|[cx, cy]| (x - cx).hypot(y - cy));
        distances.enumerate().min_by(|a, b| a.1.total_cmp(&b.1)).expect("a mixture has a component")
    }

    /// How components are drawn.
    pub(super) fn components(&self) -> WeightedIndex<f64> {
        WeightedIndex::new(&self.weights).expect("weights are positive")
    }

    /// A sample and the component it came from.
    pub(super) fn draw(&self, components: &WeightedIndex<f64>, rng: &mut impl RngExt) -> (usize, [f64; 2]) {
        let i = components.sample(rng);
        (i, self.centres[i].map(|c| c + self.sigma * rng.sample::<f64, _>(StandardNormal)))
    }
}
