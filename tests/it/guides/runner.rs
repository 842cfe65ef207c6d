//! Runs a page as a reader does: writes its files, starts its server, and runs its snippets in
//! their order.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use super::page::{Fence, Page, root};
use crate::kit::{Client, Door, Watch, soon};

/// The variable that turns on the snippets that need other programs than `jobcast`.
const TOOLS: &str = "JOBCAST_GUIDES";
/// Time allowed for one snippet. Some install packages or compile.
const SNIPPET: Duration = Duration::from_secs(900);
/// What the pages call the server.
const WRITTEN_URL: &str = "http://127.0.0.1:8080";
/// What a page has where the reader puts a job's id.
const WRITTEN_ID: &str = "PUT THE ID HERE";

/// Runs a page to its end.
pub async fn run(path: &str) {
    let page = Page::read(path);
    let tools = std::env::var(TOOLS).is_ok_and(|value| value == "tools");
    let mut run = Run::new(path);
    let mut count = 0;
    for fence in &page.fences {
        if let Some(file) = fence.value("file") {
            run.write(file, &fence.text);
        }
        if fence.is("serve") {
            run.serve().await;
        }
        let runs = fence.is("run") || (tools && fence.is("tools"));
        if !runs {
            continue;
        }
        count += 1;
        match fence.language.as_str() {
            "sh" => run.shell(fence).await,
            "graphql" => run.graphql(fence).await,
            other => panic!("{path}:{}: {other} cannot be run", fence.line),
        }
    }
    run.end().await;
    assert!(count > 0 || !tools, "{path} runs nothing");
}

/// A page that is running.
struct Run {
    path: String,
    /// What the reader calls "this folder".
    folder: TempDir,
    /// Has `jobcast` in it.
    programs: TempDir,
    server: Option<(Child, Client)>,
    background: Vec<(usize, Child)>,
    watches: Vec<Watch>,
}

impl Run {
    fn new(path: &str) -> Run {
        let folder = tempfile::tempdir().unwrap();
        let programs = tempfile::tempdir().unwrap();
        let program = Path::new(env!("CARGO_BIN_EXE_jobcast"));
        symlink(program, programs.path().join("jobcast")).unwrap();
        fs::copy(photo(), folder.path().join("photo.jpg")).unwrap();
        Run {
            path: path.to_owned(),
            folder,
            programs,
            server: None,
            background: Vec::new(),
            watches: Vec::new(),
        }
    }

    fn write(&self, file: &str, text: &str) {
        let path = self.folder.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    async fn serve(&mut self) {
        assert!(self.server.is_none(), "{}: a second server", self.path);
        let log = fs::File::create(self.folder.path().join("server.log")).unwrap();
        let mut child = self
            .command(env!("CARGO_BIN_EXE_jobcast"))
            .args(["serve", "--listen", "127.0.0.1:0"])
            .args(["--internal-listen", "127.0.0.1:0"])
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = soon("the server", lines.next_line()).await.unwrap();
        let url = line
            .as_deref()
            .and_then(|line| line.strip_prefix("listening on "));
        let url = url.unwrap_or_else(|| panic!("{}: {line:?}\n{}", self.path, self.log()));
        let client = Client::new(url);
        self.server = Some((child, client));
    }

    async fn shell(&mut self, fence: &Fence) {
        let mut text = fence.text.replace("cargo run --release --", "jobcast");
        let before = self.newest().await;
        if let Some((_, client)) = &self.server {
            text = text.replace(WRITTEN_URL, &client.url);
        }
        if let Some(id) = &before {
            text = text.replace(WRITTEN_ID, id);
            text = text.replace(" ID ", &format!(" {id} "));
            text = text.replace(" ID\n", &format!(" {id}\n"));
            self.answerable(&text, id).await;
        }
        let mut command = self.command("sh");
        command.args(["-euc", &text]);
        if !fence.is("background") {
            let output = soon_enough(command.output()).await.unwrap();
            return self.succeeded(fence.line, output);
        }
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped());
        self.background.push((fence.line, child.spawn().unwrap()));
        // The page continues with this job.
        if text.contains("jobcast submit") {
            soon("a job submitted in the background", async {
                while self.newest().await == before {
                    tokio::task::yield_now().await;
                }
            })
            .await;
        }
    }

    async fn graphql(&mut self, fence: &Fence) {
        let place = format!("{}:{}", self.path, fence.line);
        let id = self.newest().await.unwrap_or_default();
        let text = fence.text.replace(WRITTEN_ID, &id);
        self.answerable(&text, &id).await;
        let client = self.client(&place);
        if text.starts_with("subscription") {
            let mut watch = Watch::open(Door::Sse, &client, &text, json!({})).await;
            let event = watch.event().await;
            assert!(!event.is_null(), "{place}: {event}");
            self.watches.push(watch);
            return;
        }
        let answer = client.ask(&text, json!({})).await;
        assert!(answer.get("errors").is_none(), "{place}: {answer}");
    }

    /// Waits until the job waits, where the snippet answers it: a reader takes longer than that.
    async fn answerable(&self, text: &str, id: &str) {
        if text.contains("jobcast resume") || text.contains("resumeJob(") {
            let client = self.client(&self.path);
            client.until_status(id, "WAITING").await;
        }
    }

    /// Everything that runs in the background must succeed by itself.
    async fn end(mut self) {
        for (line, child) in std::mem::take(&mut self.background) {
            let output = soon_enough(child.wait_with_output()).await.unwrap();
            self.succeeded(line, output);
        }
    }

    fn succeeded(&self, line: usize, output: Output) {
        let [out, error] =
            [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
        assert!(
            output.status.success(),
            "{}:{line} ended with {}\n{out}{error}\nthe server's log:\n{}",
            self.path,
            output.status,
            self.log()
        );
    }

    /// The id of the newest job.
    async fn newest(&self) -> Option<String> {
        let (_, client) = self.server.as_ref()?;
        let list = client
            .data("{ listJobs(limit: 1) { items { id } } }", json!({}))
            .await;
        let id: &Value = &list["items"][0]["id"];
        id.as_str().map(str::to_owned)
    }

    fn client(&self, place: &str) -> Client {
        let server = self.server.as_ref();
        let (_, client) = server.unwrap_or_else(|| panic!("{place}: no server runs"));
        client.clone()
    }

    fn command(&self, program: &str) -> Command {
        let path = std::env::var("PATH").unwrap_or_default();
        let mut command = Command::new(program);
        command
            .current_dir(self.folder.path())
            .env("PATH", format!("{}:{path}", self.programs.path().display()))
            .stdin(Stdio::null())
            .kill_on_drop(true);
        if let Some((_, client)) = &self.server {
            command.env("JOBCAST_URL", &client.url);
        }
        command
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("server.log")).unwrap_or_default()
    }
}

async fn soon_enough<T>(future: impl Future<Output = T>) -> T {
    let result = tokio::time::timeout(SNIPPET, future).await;
    result.expect("a snippet ends in time")
}

/// A photograph of the samples.
fn photo() -> PathBuf {
    root().join("samples/files/lake-sunset.jpg")
}
