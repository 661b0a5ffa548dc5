//! Scenes of server migration in the simulator: a server, its clients and a move, set up as many tests want them.

pub mod log;
pub mod moves;
pub mod sources;
pub mod trials;
