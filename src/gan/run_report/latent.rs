//! What the generator makes of latent vectors between others, and of one vector with every class.

use super::material::Material;
use super::players::Players;
use crate::gan::{Latents, NormStatistics};
use crate::report::html::{Block, Picture, Section};
use crate::report::{GridStyle, encode_grid};

const WAYS: usize = 6;
const COLUMNS: usize = 10;
/// Rows of the grid by class.
const MOST_CLASSES: usize = 20;

pub(super) fn section(m: &Material) -> Section {
    let mut blocks = Vec::new();
    match &m.players {
        Err(why) => blocks.push(Block::Missing(why.clone())),
        Ok(players) => match pictures(players) {
            Err(why) => blocks.push(Block::Missing(why.to_string())),
            Ok(pictures) => {
                let mut text = "Each row of ways leads from one latent vector to another in even steps. Samples should change \
                                little by little and stay plausible on the way: a jump means that the generator has learnt \
                                single pictures."
                    .to_owned();
                if pictures.len() > 1 {
                    text += " In the grid by class a column has the same noise all the way down: what stays along it is style, what \
                             changes is the class.";
                }
                blocks.push(Block::Text(text));
                blocks.push(Block::Pictures(pictures));
            }
        },
    }
    super::section("latent", "Latent space", "Ways through latent space", blocks)
}

fn pictures(p: &Players) -> crate::Result<Vec<Picture>> {
    let s = &p.sampler;
    // Other vectors than those of the sample grids.
    let seed = s.config().seed.wrapping_add(1);
    let picture = |latents: &Latents, columns: usize, caption: &str| {
        let images = s.generate(latents, NormStatistics::Running);
        let [channels, rows, cols] = s.shape;
        let shape = [latents.z.shape()[0], channels, rows, cols];
        let style = GridStyle { columns, ..GridStyle::default() };
        Ok(Picture { png: encode_grid(&images, shape, &style)?, caption: caption.into() })
    };
    let ends = s.latents(2 * WAYS, seed, None)?;
    let mut pictures =
        vec![picture(&s.strip(&ends, COLUMNS), COLUMNS, "Ways between two latent vectors, a row each")?];
    if s.classes.is_some_and(|n| n <= MOST_CLASSES)
        && let Some(grid) = s.class_grid(&s.latents(COLUMNS, seed, None)?)
    {
        pictures.push(picture(&grid, COLUMNS, "A class in each row, the same noise down a column")?);
    }
    Ok(pictures)
}
