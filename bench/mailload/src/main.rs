//! mailload: drives a TLS IMAP/POP3/SMTP endpoint as real clients do.
//! Every mode prints a human summary on stderr and one JSON line on stdout.
mod conn;
mod proc;

use anyhow::{bail, Context as _, Result};
use clap::{Args, Parser, Subcommand};
use conn::{nth_addr, AuthMech, Conn, Dial, Protocol, TlsMode};
use hdrhistogram::Histogram;
use rustls::ClientConfig;
use serde_json::{json, Map, Value};
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::sync::{watch, Semaphore};
use tokio::time::{sleep, sleep_until, timeout};

#[derive(Parser)]
#[command(version, about)]
struct Cli {
    #[command(flatten)]
    c: Common,
    #[command(subcommand)]
    mode: Mode,
}

#[derive(Args, Clone)]
struct Common {
    /// address:port to connect to
    #[arg(long, global = true, default_value = "127.0.0.1:9930")]
    target: SocketAddr,
    #[arg(long, global = true, value_enum, default_value = "imap")]
    protocol: Protocol,
    #[arg(long, global = true, value_enum, default_value = "implicit")]
    tls: TlsMode,
    #[arg(long, global = true, value_enum, default_value = "login")]
    auth: AuthMech,
    /// accept any server certificate (and skip the signature check)
    #[arg(long, global = true)]
    accept_any_cert: bool,
    /// PEM file of trusted certificates
    #[arg(long, global = true)]
    ca: Option<std::path::PathBuf>,
    #[arg(long, global = true, default_value = "mail.example.test")]
    sni: String,
    /// offer TLS session resumption (tickets kept per worker)
    #[arg(long, global = true)]
    resume: bool,
    /// offer TLS 1.2 only
    #[arg(long, global = true)]
    tls12: bool,
    /// user name, %d is the user's number
    #[arg(long, global = true, default_value = "user%d@example.test")]
    user_pattern: String,
    #[arg(long, global = true, default_value_t = 1000)]
    users: u64,
    /// number of the first user
    #[arg(long, global = true, default_value_t = 0)]
    first_user: u64,
    #[arg(long, global = true, default_value = "testpass")]
    password: String,
    /// file of lines "user password": one set of credentials each, instead of pattern and password
    #[arg(long, global = true)]
    credentials: Option<std::path::PathBuf>,
    /// number of source addresses to spread connections over (0: let the kernel choose)
    #[arg(long, global = true, default_value_t = 0)]
    sources: u32,
    #[arg(long, global = true, default_value = "127.0.1.1")]
    source_base: Ipv4Addr,
    /// process to account for, with all its descendants (repeatable)
    #[arg(long, global = true)]
    server_pid: Vec<i32>,
    /// seconds allowed for one step (connect+login, logout, ...)
    #[arg(long, global = true, default_value_t = 20.0)]
    timeout: f64,
    /// threads of the generator
    #[arg(long, global = true, default_value_t = 2)]
    threads: usize,
    /// free text copied into the JSON
    #[arg(long, global = true, default_value = "")]
    label: String,
}

#[derive(Subcommand)]
enum Mode {
    /// connect + TLS + login + logout, over and over
    Logins {
        #[arg(long, default_value_t = 16)]
        workers: usize,
        #[arg(long, default_value_t = 10.0)]
        seconds: f64,
        /// seconds before counting starts
        #[arg(long, default_value_t = 1.0)]
        warmup: f64,
        /// every set of credentials once, however long that takes
        #[arg(long)]
        once: bool,
    },
    /// hold many IDLE sessions, measure memory per session
    Idle {
        /// session counts to reach in turn, e.g. 1000,5000
        #[arg(long, value_delimiter = ',', default_value = "1000")]
        sessions: Vec<usize>,
        /// seconds each step is held
        #[arg(long, default_value_t = 10.0)]
        seconds: f64,
        /// logins at once while opening
        #[arg(long, default_value_t = 32)]
        opening: usize,
        /// logins made before the "before" sample
        #[arg(long, default_value_t = 50)]
        warm_logins: usize,
    },
    /// FETCH message 1 of INBOX repeatedly over K connections
    Throughput {
        #[arg(long, default_value_t = 4)]
        conns: usize,
        #[arg(long, default_value_t = 10.0)]
        seconds: f64,
        #[arg(long, default_value_t = 1.0)]
        warmup: f64,
    },
    /// NOOP ping-pong in one session
    Latency {
        #[arg(long, default_value_t = 10000)]
        count: u64,
        #[arg(long, default_value_t = 500)]
        warmup: u64,
    },
    /// flood of wrong passwords while one good client logs in at a steady pace
    Badlogins {
        /// source addresses of the flood
        #[arg(long, default_value_t = 200)]
        bad_sources: u32,
        /// distance between those addresses (254: each in a /24 of its own)
        #[arg(long, default_value_t = 1)]
        bad_stride: u32,
        #[arg(long, default_value = "127.1.0.1")]
        bad_base: Ipv4Addr,
        /// bad attempts per second
        #[arg(long, default_value_t = 200.0)]
        rate: f64,
        /// most bad attempts under way at once
        #[arg(long, default_value_t = 4000)]
        max_in_flight: usize,
        #[arg(long, default_value_t = 10.0)]
        seconds: f64,
        /// ms between the good client's logins
        #[arg(long, default_value_t = 100)]
        good_every: u64,
        /// seconds of flood before the good client's first login
        #[arg(long, default_value_t = 2.0)]
        lead: f64,
    },
}

struct Ctx {
    c: Common,
    dial: Dial,
    next: AtomicU64,
    credentials: Vec<(String, String)>,
}

/// The lines of a credentials file; the password is the rest of the line.
fn read_credentials(path: &std::path::Path) -> Result<Vec<(String, String)>> {
    let text = std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    let rows: Vec<_> = text
        .lines()
        .filter_map(|l| l.split_once(char::is_whitespace))
        .map(|(u, p)| (u.to_owned(), p.trim().to_owned()))
        .collect();
    if rows.is_empty() {
        bail!("{} holds no line \"user password\"", path.display());
    }
    Ok(rows)
}

impl Ctx {
    fn cfg(&self) -> Result<Arc<ClientConfig>> {
        conn::tls_config(self.c.accept_any_cert, self.c.ca.as_deref(), self.c.resume, self.c.tls12)
    }
    fn step(&self) -> Duration {
        Duration::from_secs_f64(self.c.timeout)
    }
    fn seq(&self) -> u64 {
        self.next.fetch_add(1, Relaxed)
    }
    fn user(&self, n: u64) -> String {
        if !self.credentials.is_empty() {
            return self.credentials[(n % self.credentials.len() as u64) as usize].0.clone();
        }
        let k = self.c.first_user + n % self.c.users.max(1);
        self.c.user_pattern.replace("%d", &k.to_string())
    }
    fn password(&self, n: u64) -> &str {
        if self.credentials.is_empty() {
            return &self.c.password;
        }
        &self.credentials[(n % self.credentials.len() as u64) as usize].1
    }
    fn src(&self, n: u64) -> Option<Ipv4Addr> {
        (self.c.sources > 0).then(|| nth_addr(self.c.source_base, (n % self.c.sources as u64) as u32))
    }
    /// Connect and log in; Err carries the stage that failed.
    async fn session(
        &self,
        cfg: &Arc<ClientConfig>,
        n: u64,
        src: Option<Ipv4Addr>,
        pass: &str,
    ) -> Result<(Conn, Duration), String> {
        let t0 = Instant::now();
        let go = async {
            let mut c = Conn::open(&self.dial, cfg, src).await.map_err(|e| format!("open: {e:#}"))?;
            let hs = t0.elapsed();
            c.login(self.dial.auth, &self.user(n), pass).await.map_err(|e| format!("login: {e:#}"))?;
            Ok((c, hs))
        };
        timeout(self.step(), go).await.unwrap_or_else(|_| Err("timeout".into()))
    }
}

fn hist() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 600_000_000_000, 3).unwrap()
}

/// ns histogram as ms figures
fn hj(h: &Histogram<u64>) -> Value {
    if h.is_empty() {
        return Value::Null;
    }
    let ms = |v: u64| (v as f64 / 1e3).round() / 1e3;
    json!({"n": h.len(), "min_ms": ms(h.min()), "p50_ms": ms(h.value_at_quantile(0.5)), "p90_ms": ms(h.value_at_quantile(0.9)),
        "p99_ms": ms(h.value_at_quantile(0.99)), "max_ms": ms(h.max()), "mean_ms": ms(h.mean() as u64)})
}

fn r3(x: f64) -> f64 {
    (x * 1000.0).round() / 1000.0
}

#[derive(Default)]
struct Errs(Mutex<BTreeMap<String, u64>>);
impl Errs {
    fn add(&self, e: &str) {
        // keep the kinds few: cut what varies
        let k: String = e.chars().take(120).collect();
        let mut m = self.0.lock().unwrap();
        if m.len() < 12 || m.contains_key(&k) {
            *m.entry(k).or_default() += 1;
        } else {
            *m.entry("(other)".into()).or_default() += 1;
        }
    }
    fn json(&self) -> Value {
        json!(*self.0.lock().unwrap())
    }
}

async fn cpu(ctx: &Ctx) -> proc::Cpu {
    let p = ctx.c.server_pid.clone();
    tokio::task::spawn_blocking(move || proc::cpu(&p)).await.unwrap()
}
async fn mem(ctx: &Ctx) -> proc::Mem {
    let p = ctx.c.server_pid.clone();
    tokio::task::spawn_blocking(move || proc::mem(&p)).await.unwrap()
}

async fn logins(
    ctx: Arc<Ctx>,
    workers: usize,
    seconds: f64,
    warmup: f64,
    once: bool,
) -> Result<Map<String, Value>> {
    let errs = Arc::new(Errs::default());
    let counting = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let (stop_tx, stop_rx) = watch::channel(false);
    let mut js = vec![];
    for _ in 0..workers {
        let (ctx, errs, counting, stop) = (ctx.clone(), errs.clone(), counting.clone(), stop_rx.clone());
        let cfg = ctx.cfg()?;
        js.push(tokio::spawn(async move {
            let (mut hl, mut hh, mut ht) = (hist(), hist(), hist());
            let (mut ok, mut fail, mut resumed, mut bad_logout) = (0u64, 0u64, 0u64, 0u64);
            let mut desc = String::new();
            while !*stop.borrow() {
                let n = ctx.seq();
                if once && n >= ctx.credentials.len() as u64 {
                    break;
                }
                let t0 = Instant::now();
                let r = ctx.session(&cfg, n, ctx.src(n), ctx.password(n)).await;
                let tl = t0.elapsed();
                match r {
                    Ok((mut c, hs)) => {
                        let lo = timeout(ctx.step(), c.logout()).await;
                        let tt = t0.elapsed();
                        let was_resumed = c.resumed;
                        if desc.is_empty() {
                            desc = c.tls_desc.clone();
                        }
                        c.close().await;
                        // counted when it ends inside the window
                        if counting.load(Relaxed) && !*stop.borrow() {
                            ok += 1;
                            resumed += was_resumed as u64;
                            if !matches!(lo, Ok(Ok(()))) {
                                bad_logout += 1;
                            }
                            let _ = hl.record(tl.as_nanos() as u64);
                            let _ = hh.record(hs.as_nanos() as u64);
                            let _ = ht.record(tt.as_nanos() as u64);
                        }
                    }
                    Err(e) => {
                        if counting.load(Relaxed) {
                            fail += 1;
                            errs.add(&e);
                        }
                        sleep(Duration::from_millis(20)).await;
                    }
                }
            }
            (hl, hh, ht, ok, fail, resumed, bad_logout, desc)
        }));
    }
    sleep(Duration::from_secs_f64(if once { 0.0 } else { warmup })).await;
    let c0 = cpu(&ctx).await;
    let t0 = Instant::now();
    counting.store(true, Relaxed);
    if once {
        while js.iter().any(|j| !j.is_finished()) {
            sleep(Duration::from_millis(50)).await;
        }
    } else {
        sleep(Duration::from_secs_f64(seconds)).await;
    }
    stop_tx.send(true)?;
    let dt = t0.elapsed().as_secs_f64();
    let c1 = cpu(&ctx).await;
    let (mut hl, mut hh, mut ht) = (hist(), hist(), hist());
    let (mut ok, mut fail, mut resumed, mut bad_logout) = (0u64, 0u64, 0u64, 0u64);
    let mut desc = String::new();
    for j in js {
        let r = j.await?;
        hl.add(r.0)?;
        hh.add(r.1)?;
        ht.add(r.2)?;
        ok += r.3;
        fail += r.4;
        resumed += r.5;
        bad_logout += r.6;
        if desc.is_empty() {
            desc = r.7;
        }
    }
    let (ms, cj) = proc::cpu_delta(&c0, &c1);
    let mut m = Map::new();
    m.insert("workers".into(), json!(workers));
    m.insert("seconds".into(), json!(r3(dt)));
    m.insert("ok".into(), json!(ok));
    m.insert("failed".into(), json!(fail));
    m.insert("logout_not_ok".into(), json!(bad_logout));
    m.insert("resumed".into(), json!(resumed));
    m.insert("per_s".into(), json!(r3(ok as f64 / dt)));
    m.insert("open_to_greeting".into(), hj(&hh));
    m.insert("login".into(), hj(&hl));
    m.insert("with_logout".into(), hj(&ht));
    if let Some(ms) = ms {
        m.insert("server_cpu_ms_per_login".into(), json!(r3(ms / ok.max(1) as f64)));
        let mut by = Map::new();
        if let Some(o) = cj["by_root_ms"].as_object() {
            for (k, v) in o {
                by.insert(k.clone(), json!(r3(v.as_f64().unwrap_or(0.0) / ok.max(1) as f64)));
            }
        }
        m.insert("cpu_ms_per_login_by_root".into(), Value::Object(by));
    }
    m.insert("cpu".into(), cj);
    m.insert("negotiated".into(), json!(desc));
    m.insert("errors".into(), errs.json());
    Ok(m)
}

async fn idle(
    ctx: Arc<Ctx>,
    steps: Vec<usize>,
    seconds: f64,
    opening: usize,
    warm: usize,
) -> Result<Map<String, Value>> {
    if ctx.dial.proto != Protocol::Imap {
        bail!("idle needs --protocol imap");
    }
    let cfg = ctx.cfg()?;
    let errs = Arc::new(Errs::default());
    for _ in 0..warm {
        let n = ctx.seq();
        match ctx.session(&cfg, n, ctx.src(n), ctx.password(n)).await {
            Ok((mut c, _)) => {
                let _ = timeout(ctx.step(), c.logout()).await;
                c.close().await;
            }
            Err(e) => errs.add(&e),
        }
    }
    sleep(Duration::from_secs(1)).await;
    let before = mem(&ctx).await;
    let k_before = proc::kernel_mem();
    let alive = Arc::new(AtomicUsize::new(0));
    let verified = Arc::new(AtomicUsize::new(0));
    let (stop_tx, stop_rx) = watch::channel(false);
    let gate = Arc::new(Semaphore::new(opening));
    let mut js = vec![];
    let mut out = vec![];
    let mut total_failed = 0usize;
    let mut have = 0usize;
    for want in steps {
        let t0 = Instant::now();
        let oc0 = cpu(&ctx).await;
        let (tx, mut rx) = tokio::sync::mpsc::unbounded_channel::<bool>();
        let add = want.saturating_sub(have);
        for _ in 0..add {
            let (ctx, cfg, errs, alive, verified, gate, mut stop, tx) = (
                ctx.clone(),
                cfg.clone(),
                errs.clone(),
                alive.clone(),
                verified.clone(),
                gate.clone(),
                stop_rx.clone(),
                tx.clone(),
            );
            js.push(tokio::spawn(async move {
                let permit = gate.acquire_owned().await.unwrap();
                let n = ctx.seq();
                let s = ctx.session(&cfg, n, ctx.src(n), ctx.password(n)).await;
                let mut c = match s {
                    Ok((c, _)) => c,
                    Err(e) => {
                        errs.add(&e);
                        let _ = tx.send(false);
                        return;
                    }
                };
                let enter = async {
                    c.imap_cmd("b1", "SELECT INBOX").await?;
                    c.send("i1 IDLE").await?;
                    loop {
                        let l = c.line().await?;
                        if l.starts_with('+') {
                            return Ok::<(), anyhow::Error>(());
                        }
                        if l.starts_with("i1 ") {
                            bail!("IDLE refused: {l}");
                        }
                    }
                };
                match timeout(ctx.step(), enter).await {
                    Ok(Ok(())) => {}
                    Ok(Err(e)) => {
                        errs.add(&format!("idle: {e:#}"));
                        let _ = tx.send(false);
                        return;
                    }
                    Err(_) => {
                        errs.add("idle: timeout");
                        let _ = tx.send(false);
                        return;
                    }
                }
                drop(permit);
                c.shrink();
                alive.fetch_add(1, Relaxed);
                let _ = tx.send(true);
                drop(tx);
                loop {
                    tokio::select! {
                        r = c.line() => if let Err(e) = r {
                            alive.fetch_sub(1, Relaxed);
                            errs.add(&format!("while idle: {e:#}"));
                            return;
                        },
                        _ = stop.changed() => break,
                    }
                }
                let end = async {
                    c.send("DONE").await?;
                    c.imap_wait("i1").await
                };
                match timeout(ctx.step(), end).await {
                    Ok(Ok(())) => {
                        verified.fetch_add(1, Relaxed);
                    }
                    Ok(Err(e)) => errs.add(&format!("done: {e:#}")),
                    Err(_) => errs.add("done: timeout"),
                }
                let _ = timeout(ctx.step(), c.logout()).await;
                c.close().await;
            }));
        }
        drop(tx);
        let mut failed = 0usize;
        for _ in 0..add {
            match rx.recv().await {
                Some(true) => {}
                Some(false) => failed += 1,
                None => break,
            }
        }
        have = want;
        total_failed += failed;
        let open_s = t0.elapsed().as_secs_f64();
        let oc1 = cpu(&ctx).await;
        let opened = alive.load(Relaxed);
        sleep(Duration::from_secs_f64((seconds / 2.0).min(3.0))).await;
        let c0 = cpu(&ctx).await;
        let th = Instant::now();
        sleep(Duration::from_secs_f64((seconds - (seconds / 2.0).min(3.0)).max(0.1))).await;
        let c1 = cpu(&ctx).await;
        let held = th.elapsed().as_secs_f64();
        let during = mem(&ctx).await;
        let still = alive.load(Relaxed);
        let per = |d: u64, b: u64| {
            if still > 0 {
                json!(((d as f64 - b as f64) * 1024.0 / still as f64).round())
            } else {
                Value::Null
            }
        };
        let mut m = Map::new();
        m.insert("sessions".into(), json!(want));
        m.insert("opened_now_alive".into(), json!(opened));
        m.insert("failed_to_open".into(), json!(failed));
        m.insert("alive_after_hold".into(), json!(still));
        m.insert("open_seconds".into(), json!(r3(open_s)));
        m.insert("open_cpu_ms".into(), json!(proc::cpu_delta(&oc0, &oc1).0));
        m.insert("idle_cpu_ms_per_s".into(), json!(proc::cpu_delta(&c0, &c1).0.map(|x| r3(x / held))));
        m.insert("mem".into(), during.json());
        m.insert("pss_bytes_per_session".into(), per(during.pss, before.pss));
        m.insert("rss_bytes_per_session".into(), per(during.rss, before.rss));
        m.insert("kernel".into(), proc::kernel_mem());
        eprintln!("idle {want}: alive {still}, PSS/session {}", m["pss_bytes_per_session"]);
        out.push(Value::Object(m));
    }
    let at_stop = alive.load(Relaxed);
    stop_tx.send(true)?;
    for j in js {
        let _ = j.await;
    }
    let mut m = Map::new();
    m.insert("before".into(), before.json());
    m.insert("kernel_before".into(), k_before);
    m.insert("steps".into(), json!(out));
    m.insert("failed_to_open".into(), json!(total_failed));
    m.insert("alive_at_end".into(), json!(at_stop));
    m.insert("answered_done".into(), json!(verified.load(Relaxed)));
    m.insert("errors".into(), errs.json());
    Ok(m)
}

async fn throughput(ctx: Arc<Ctx>, conns: usize, seconds: f64, warmup: f64) -> Result<Map<String, Value>> {
    if ctx.dial.proto != Protocol::Imap {
        bail!("throughput needs --protocol imap");
    }
    let cfg = ctx.cfg()?;
    let bytes = Arc::new(AtomicU64::new(0));
    let msgs = Arc::new(AtomicU64::new(0));
    let errs = Arc::new(Errs::default());
    let mut js = vec![];
    let mut desc = String::new();
    for _ in 0..conns {
        let n = ctx.seq();
        let (mut c, _) =
            ctx.session(&cfg, n, ctx.src(n), ctx.password(n)).await.map_err(|e| anyhow::anyhow!(e))?;
        desc = c.tls_desc.clone();
        c.imap_cmd("b1", "SELECT INBOX").await?;
        let (bytes, msgs, errs) = (bytes.clone(), msgs.clone(), errs.clone());
        js.push(tokio::spawn(async move {
            loop {
                match c
                    .fetch_big(|n| {
                        bytes.fetch_add(n as u64, Relaxed);
                    })
                    .await
                {
                    Ok(0) => {
                        errs.add("no message 1 in INBOX");
                        return;
                    }
                    Ok(_) => {
                        msgs.fetch_add(1, Relaxed);
                    }
                    Err(e) => {
                        errs.add(&format!("{e:#}"));
                        return;
                    }
                }
            }
        }));
    }
    sleep(Duration::from_secs_f64(warmup)).await;
    let c0 = cpu(&ctx).await;
    let (b0, t0) = (bytes.load(Relaxed), Instant::now());
    sleep(Duration::from_secs_f64(seconds)).await;
    let (b1, dt) = (bytes.load(Relaxed), t0.elapsed().as_secs_f64());
    let c1 = cpu(&ctx).await;
    for j in &js {
        j.abort();
    }
    let d = (b1 - b0) as f64;
    let (ms, cj) = proc::cpu_delta(&c0, &c1);
    let gib = d / (1u64 << 30) as f64;
    let mut m = Map::new();
    m.insert("conns".into(), json!(conns));
    m.insert("seconds".into(), json!(r3(dt)));
    m.insert("bytes".into(), json!(b1 - b0));
    m.insert("messages_done".into(), json!(msgs.load(Relaxed)));
    m.insert("mib_per_s".into(), json!(r3(d / (1 << 20) as f64 / dt)));
    if let (Some(ms), true) = (ms, gib > 0.0) {
        m.insert("server_cpu_s_per_gib".into(), json!(r3(ms / 1e3 / gib)));
    }
    m.insert("cpu".into(), cj);
    m.insert("negotiated".into(), json!(desc));
    m.insert("errors".into(), errs.json());
    Ok(m)
}

async fn latency(ctx: Arc<Ctx>, count: u64, warmup: u64) -> Result<Map<String, Value>> {
    let cfg = ctx.cfg()?;
    let (mut c, _) =
        ctx.session(&cfg, 0, ctx.src(0), ctx.password(0)).await.map_err(|e| anyhow::anyhow!(e))?;
    for _ in 0..warmup {
        timeout(ctx.step(), c.noop()).await??;
    }
    let mut h = hist();
    let c0 = cpu(&ctx).await;
    let t0 = Instant::now();
    for _ in 0..count {
        let t = Instant::now();
        timeout(ctx.step(), c.noop()).await??;
        h.record(t.elapsed().as_nanos() as u64)?;
    }
    let dt = t0.elapsed().as_secs_f64();
    let c1 = cpu(&ctx).await;
    let desc = c.tls_desc.clone();
    let _ = timeout(ctx.step(), c.logout()).await;
    c.close().await;
    let (ms, cj) = proc::cpu_delta(&c0, &c1);
    let mut m = Map::new();
    m.insert("seconds".into(), json!(r3(dt)));
    m.insert("noop".into(), hj(&h));
    if let Some(ms) = ms {
        m.insert("server_cpu_us_per_noop".into(), json!(r3(ms * 1e3 / count as f64)));
    }
    m.insert("cpu".into(), cj);
    m.insert("negotiated".into(), json!(desc));
    Ok(m)
}

#[allow(clippy::too_many_arguments)]
async fn badlogins(
    ctx: Arc<Ctx>,
    nsrc: u32,
    stride: u32,
    base: Ipv4Addr,
    rate: f64,
    cap: usize,
    seconds: f64,
    every: u64,
    lead: f64,
) -> Result<Map<String, Value>> {
    let cfg = ctx.cfg()?;
    let errs = Arc::new(Errs::default());
    let bad_errs = Arc::new(Errs::default());
    let hb = Arc::new(Mutex::new(hist()));
    let hg = Arc::new(Mutex::new(hist()));
    let (rejected, accepted, broken) =
        (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let flying = Arc::new(AtomicUsize::new(0));
    let end = tokio::time::Instant::now() + Duration::from_secs_f64(lead + seconds);
    let c0 = cpu(&ctx).await;
    let flood = {
        let (ctx, cfg, bad_errs, hb, flying) =
            (ctx.clone(), cfg.clone(), bad_errs.clone(), hb.clone(), flying.clone());
        let (rejected, accepted, broken) = (rejected.clone(), accepted.clone(), broken.clone());
        tokio::spawn(async move {
            let start = tokio::time::Instant::now();
            let (mut sent, mut skipped, mut peak) = (0u64, 0u64, 0usize);
            let mut i = 0u64;
            while rate > 0.0 {
                let at = start + Duration::from_secs_f64(i as f64 / rate);
                if at >= end {
                    break;
                }
                sleep_until(at).await;
                i += 1;
                if flying.load(Relaxed) >= cap {
                    skipped += 1;
                    continue;
                }
                sent += 1;
                peak = peak.max(flying.fetch_add(1, Relaxed) + 1);
                let (ctx, cfg, bad_errs, hb, flying) =
                    (ctx.clone(), cfg.clone(), bad_errs.clone(), hb.clone(), flying.clone());
                let (rejected, accepted, broken) = (rejected.clone(), accepted.clone(), broken.clone());
                tokio::spawn(async move {
                    let t0 = Instant::now();
                    let src = nth_addr(base, (i % nsrc.max(1) as u64) as u32 * stride);
                    let r = ctx.session(&cfg, i, Some(src), "wrong-password").await;
                    let dt = t0.elapsed().as_nanos() as u64;
                    match r {
                        Ok((c, _)) => {
                            accepted.fetch_add(1, Relaxed);
                            c.close().await;
                        }
                        Err(e) if e.starts_with("login: rejected") => {
                            rejected.fetch_add(1, Relaxed);
                            let _ = hb.lock().unwrap().record(dt);
                        }
                        Err(e) => {
                            broken.fetch_add(1, Relaxed);
                            bad_errs.add(&e);
                        }
                    }
                    flying.fetch_sub(1, Relaxed);
                });
            }
            (sent, skipped, peak)
        })
    };
    sleep(Duration::from_secs_f64(lead)).await;
    let mut good = vec![];
    let gstart = tokio::time::Instant::now();
    let mut g = 0u64;
    loop {
        let at = gstart + Duration::from_millis(every * g);
        if at >= end {
            break;
        }
        sleep_until(at).await;
        g += 1;
        let (ctx, cfg, errs, hg) = (ctx.clone(), cfg.clone(), errs.clone(), hg.clone());
        good.push(tokio::spawn(async move {
            let t0 = Instant::now();
            // a user the flood does not name
            let last = ctx.c.users.max(1) - 1;
            let r = ctx.session(&cfg, last, None, ctx.password(last)).await;
            let dt = t0.elapsed().as_nanos() as u64;
            match r {
                Ok((mut c, _)) => {
                    let _ = hg.lock().unwrap().record(dt);
                    let _ = timeout(ctx.step(), c.logout()).await;
                    c.close().await;
                    true
                }
                Err(e) => {
                    errs.add(&e);
                    false
                }
            }
        }));
    }
    let (sent, skipped, peak) = flood.await?;
    let c1 = cpu(&ctx).await;
    let mut ok = 0u64;
    for j in good {
        ok += j.await? as u64;
    }
    // let the last bad attempts get their answer
    let t = Instant::now();
    while flying.load(Relaxed) > 0 && t.elapsed() < ctx.step() {
        sleep(Duration::from_millis(50)).await;
    }
    let (ms, cj) = proc::cpu_delta(&c0, &c1);
    let mut m = Map::new();
    m.insert("seconds".into(), json!(seconds));
    m.insert("rate_wanted".into(), json!(rate));
    m.insert("bad_sources".into(), json!(nsrc));
    m.insert(
        "bad".into(),
        json!({"sent": sent, "per_s": r3(sent as f64 / (lead + seconds)), "rejected": rejected.load(Relaxed), "accepted": accepted.load(Relaxed),
        "broken": broken.load(Relaxed), "skipped_at_cap": skipped, "peak_in_flight": peak, "unfinished": flying.load(Relaxed),
        "reply": hj(&hb.lock().unwrap()), "errors": bad_errs.json()}),
    );
    m.insert(
        "good".into(),
        json!({"attempts": g, "ok": ok, "login": hj(&hg.lock().unwrap()), "errors": errs.json()}),
    );
    if let Some(ms) = ms {
        m.insert("server_cpu_ms_per_attempt".into(), json!(r3(ms / (sent + g).max(1) as f64)));
    }
    m.insert("cpu".into(), cj);
    Ok(m)
}

fn main() -> Result<()> {
    let cli = Cli::parse();
    // as many descriptors as the hard limit gives
    unsafe {
        let mut r: libc::rlimit = std::mem::zeroed();
        if libc::getrlimit(libc::RLIMIT_NOFILE, &mut r) == 0 {
            r.rlim_cur = r.rlim_max;
            libc::setrlimit(libc::RLIMIT_NOFILE, &r);
        }
    }
    let c = cli.c.clone();
    let name = match &cli.mode {
        Mode::Logins { .. } => "logins",
        Mode::Idle { .. } => "idle",
        Mode::Throughput { .. } => "throughput",
        Mode::Latency { .. } => "latency",
        Mode::Badlogins { .. } => "badlogins",
    };
    for p in &c.server_pid {
        if !std::path::Path::new(&format!("/proc/{p}")).exists() {
            bail!("no process {p}");
        }
    }
    let ctx = Arc::new(Ctx {
        dial: Dial { target: c.target, proto: c.protocol, tls: c.tls, sni: c.sni.clone(), auth: c.auth },
        c: c.clone(),
        next: AtomicU64::new(0),
        credentials: c.credentials.as_deref().map(read_credentials).transpose()?.unwrap_or_default(),
    });
    let rt = tokio::runtime::Builder::new_multi_thread().worker_threads(c.threads).enable_all().build()?;
    let load0 = proc::loadavg();
    let m = rt.block_on(async {
        match cli.mode {
            Mode::Logins { workers, seconds, warmup, once } => {
                logins(ctx, workers, seconds, warmup, once).await
            }
            Mode::Idle { sessions, seconds, opening, warm_logins } => {
                idle(ctx, sessions, seconds, opening, warm_logins).await
            }
            Mode::Throughput { conns, seconds, warmup } => throughput(ctx, conns, seconds, warmup).await,
            Mode::Latency { count, warmup } => latency(ctx, count, warmup).await,
            Mode::Badlogins {
                bad_sources,
                bad_stride,
                bad_base,
                rate,
                max_in_flight,
                seconds,
                good_every,
                lead,
            } => {
                badlogins(
                    ctx,
                    bad_sources,
                    bad_stride,
                    bad_base,
                    rate,
                    max_in_flight,
                    seconds,
                    good_every,
                    lead,
                )
                .await
            }
        }
    });
    let mut o = Map::new();
    o.insert("mode".into(), json!(name));
    o.insert("label".into(), json!(c.label));
    o.insert("target".into(), json!(c.target.to_string()));
    o.insert("protocol".into(), json!(format!("{:?}", c.protocol).to_lowercase()));
    o.insert("tls".into(), json!(format!("{:?}", c.tls).to_lowercase()));
    o.insert("resume".into(), json!(c.resume));
    o.insert("server_pids".into(), json!(c.server_pid));
    o.insert("load_before".into(), json!(load0));
    o.insert("load_after".into(), json!(proc::loadavg()));
    let failed = m.is_err();
    match m {
        Ok(m) => o.extend(m),
        Err(e) => {
            o.insert("error".into(), json!(format!("{e:#}")));
        }
    }
    let v = Value::Object(o);
    eprintln!("{}", serde_json::to_string_pretty(&v)?);
    println!("{v}");
    rt.shutdown_background();
    if failed {
        std::process::exit(1);
    }
    Ok(())
}
