//! The integration tests: one binary, real servers on free ports, fresh data directories.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod access;
mod architecture;
mod authorization;
mod aws;
mod aws_counts;
mod aws_faults;
mod aws_starts;
mod bad_input;
mod bounds;
mod broker_tls;
mod chaos;
mod cli;
mod config;
mod connections;
mod crash;
mod delivery;
mod delivery_documents;
mod delivery_drain;
mod disk;
mod documents;
mod doors;
mod files;
mod functions;
mod guides;
#[path = "../../bench/src/hostile_requests.rs"]
mod hostile_requests;
mod http;
mod imports;
mod infra;
mod intake;
mod internal;
mod json_doors;
mod kit;
mod lambda_http;
mod lambda_intake;
mod lambda_journey;
mod lambda_publish;
mod lambda_samples;
mod nodes;
mod operations;
mod pieces;
mod probes;
mod proxies;
mod queries;
mod restored;
mod rollout;
mod shortcuts;
mod startup;
mod stop;
mod terminal;
mod twice;
mod words;
