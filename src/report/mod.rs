//! What a run leaves for people to look at: sample grids, plots, the log, and event files for TensorBoard.

mod animation;
mod canvas;
mod chart;
mod colours;
mod comparison;
mod curve;
mod environment;
mod figures;
mod folder;
mod grid;
mod history;
pub mod html;
mod indexed;
mod log;
mod pictures;
mod plot;
mod profile;
mod render;
mod scatter;
pub mod tensorboard;
mod ticks;
mod trace_times;

pub use animation::save_gif;
pub use comparison::{ComparedRun, save_comparison};
pub(crate) use environment::quoted;
pub use environment::{Environment, memory_mb, peak_memory_mb, process_age, processor};
pub use figures::{FigureFormat, LossFacts, RunFigures};
pub(crate) use folder::run_folder;
pub use grid::{GridStyle, encode_grid, grid_change, save_grid};
pub use history::History;
pub use log::{RunLog, read as read_log};
pub use pictures::save_pictures;
pub use plot::{Axis, Line, Panel, Scale, encode_plot_png, encode_plot_svg, save_plot};
pub use profile::{Cost, Profile};
pub use scatter::{
    Cloud, ScatterPanel, encode_scatter_png, encode_scatter_svg, save_scatter, save_scatter_panels,
};
pub use tensorboard::EventLog;
pub use trace_times::{Share, TraceTimes};
