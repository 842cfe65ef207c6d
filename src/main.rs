//! The `jobcast` binary.

use clap::Parser;
use jobcast::config::{Config, ServeFlags};
use tokio_util::sync::CancellationToken;

#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    command: Option<Sub>,
    #[command(flatten)]
    serve: ServeFlags,
}
#[derive(clap::Subcommand)]
enum Sub {
    Serve(ServeFlags),
    Function { name: String },
}

fn main() {
    let cli = Cli::parse();
    let rt = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("rt");
    rt.block_on(async {
        match cli.command {
            Some(Sub::Function { name }) => examples::run(&name)
                .await
                .map_err(|e| eprintln!("{e}"))
                .unwrap_or(()),
            other => {
                let flags = match other {
                    Some(Sub::Serve(f)) => f,
                    _ => cli.serve,
                };
                let config = Config::load(flags).unwrap_or_else(|e| {
                    eprintln!("{e}");
                    std::process::exit(2)
                });
                jobcast::log::init(&config.log, config.log_format).expect("log");
                let stop = CancellationToken::new();
                let s = stop.clone();
                tokio::spawn(async move {
                    tokio::signal::ctrl_c().await.ok();
                    s.cancel();
                });
                if let Err(e) = jobcast::server::serve(
                    config,
                    |a| {
                        println!(
                            "listening on http://{}\ninternal on http://{}",
                            a.public, a.internal
                        )
                    },
                    stop,
                )
                .await
                {
                    eprintln!("{e}");
                    std::process::exit(1)
                }
            }
        }
    });
}
