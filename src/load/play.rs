//! Playing a folder of real data, live.
