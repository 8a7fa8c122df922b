//! A changed mailbox password reaches the app passwords, and what is stale is shown.

use std::fs;

use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, SqliteConnection};

use crate::site::{MASTER, Site, imap_server, keys, sealed};

const RESEAL: [&str; 4] = ["app-password", "reseal", "anna", "--mailbox-password-stdin"];

/// A site whose server has another mailbox password since two app passwords were made.
fn changed() -> (Site, [Value; 2]) {
    let site = Site::new(&sealed(imap_server("first-secret")));
    let made = ["Phone", "Laptop"].map(|name| create(&site, name, "first-secret"));
    fs::write(site.file("mailward.toml"), sealed(imap_server("second-secret"))).unwrap();
    (site, made)
}

fn create(site: &Site, name: &str, mailbox: &str) -> Value {
    let call = ["app-password", "create", "anna", "--name", name, "--mailbox-password-stdin", "--json"];
    serde_json::from_str(&site.run_with_input(&call, &format!("{mailbox}\n")).succeeded()).unwrap()
}

/// Does it to the database.
fn sql(site: &Site, statement: &str) {
    let url = format!("sqlite://{}", site.file("data/mailward.db").display());
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
        let mut database = SqliteConnection::connect(&url).await.unwrap();
        let done = database.execute(AssertSqlSafe(statement.to_owned())).await.unwrap();
        assert!(done.rows_affected() > 0, "{statement}");
        database.close().await.unwrap();
    });
}

fn recorded(site: &Site) -> Vec<Value> {
    let found = site.json(&["audit", "search", "--event", "mailbox_password_resealed", "--json"]);
    found.as_array().unwrap().clone()
}

#[test]
fn a_changed_mailbox_password_is_re_sealed_to_all_app_passwords() {
    let (site, _) = changed();
    sql(
        &site,
        "UPDATE app_passwords SET stale_since = '2026-02-03T04:05:06.000000Z', next_probe_at = '2026-02-03T04:20:06.000000Z'",
    );
    let list = ["app-password", "list", "anna"];
    assert_eq!(site.json(&[&list[..], &["--json"]].concat())[0]["stale_since"], "2026-02-03T04:05:06Z");
    for call in [&list[..], &["account", "show", "anna"]] {
        let shown = site.run(call).succeeded();
        assert!(shown.contains("MAILBOX PASSWORD STALE SINCE") && shown.contains("2026-02-03"), "{shown}");
    }

    site.run(&RESEAL[..3]).failed(2, "error: the mailbox password is needed, and there is no terminal");
    let err = site
        .run_with_input(&RESEAL, "first-secret\n")
        .failed(1, "error: `legacy` refused the mailbox password of anna@example.org; nothing was re-sealed");
    assert!(!err.contains("first-secret"), "{err}");
    assert_eq!(
        site.run_with_input(&RESEAL, "second-secret\n").succeeded(),
        "re-sealed all 2 app passwords of anna@example.org\n"
    );
    assert_eq!(site.json(&[&list[..], &["--json"]].concat())[0]["stale_since"], Value::Null);
    assert!(!site.run(&list).succeeded().contains("STALE"), "no column without anything in it");
    // The first one is from making the second app password.
    assert_eq!(recorded(&site).len(), 2);
    let labels = recorded(&site)[1]["labels"].as_array().unwrap().len();
    assert_eq!((labels, &recorded(&site)[1]["account"]), (2, &"anna@example.org".into()));
}

#[test]
fn what_is_left_alone_is_told_with_its_reason() {
    let (site, [phone, laptop]) = changed();
    sql(
        &site,
        &format!("UPDATE app_passwords SET networks = '' || ' ' WHERE label = {}", phone["label"])
            .replace('"', "'"),
    );
    let told = site.run_with_input(&RESEAL, "second-secret\n");
    assert_eq!(told.code, 1);
    let label = phone["label"].as_str().unwrap();
    assert_eq!(
        told.out,
        format!(
            "re-sealed 1 of 2 app passwords of anna@example.org\nleft alone: `Phone` ({label}): the row's MAC does not match its content\n"
        )
    );
    assert!(
        told.err
            .starts_with("error: 1 of the app passwords of anna@example.org could not be re-sealed\nhint: "),
        "{}",
        told.err
    );

    let told = site.run_with_input(&[&RESEAL[..], &["--json"]].concat(), "second-secret\n");
    let one = |made: &Value, name: &str| json!({"id": made["id"], "label": made["label"], "name": name});
    let mut left = one(&phone, "Phone");
    left["reason"] = "the row's MAC does not match its content".into();
    let expected = json!({"resealed": [one(&laptop, "Laptop")], "left_alone": [left]});
    assert_eq!((told.code, serde_json::from_str::<Value>(&told.out).unwrap()), (1, expected));
}

#[test]
fn making_an_app_password_mends_the_others() {
    let site = Site::new(&sealed(imap_server("first-secret")).replace("per_account = 2", "per_account = 3"));
    let made = create(&site, "Phone", "first-secret");
    assert!(recorded(&site).is_empty(), "there was no other");
    create(&site, "Laptop", "first-secret");
    assert_eq!(recorded(&site)[0]["labels"], json!([made["label"]]));

    sql(&site, "UPDATE app_passwords SET networks = ' ' WHERE name = 'Laptop'");
    let call = ["app-password", "create", "anna", "--name", "iPad", "--mailbox-password-stdin"];
    let told = site.run_with_input(&call, "first-secret\n");
    assert!(told.code == 0 && told.err.starts_with("warning: left alone: `Laptop` ("), "{}", told.err);
}

#[test]
fn there_is_nothing_to_re_seal_under_a_master_user_or_without_an_account() {
    let master = Site::new(MASTER);
    master.run(&["app-password", "create", "anna", "--name", "Phone"]).succeeded();
    master
        .run_with_input(&RESEAL, "second-secret\n")
        .failed(2, "error: nothing is sealed to the app passwords of anna@example.org: ");
    let site = Site::new(&sealed(imap_server("second-secret")));
    site.run_with_input(&RESEAL, "second-secret\n")
        .failed(3, "error: there is no account `anna@example.org`");
    site.run(&["account", "add", "anna"]).succeeded();
    let json = site.run_with_input(&[&RESEAL[..], &["--json"]].concat(), "second-secret\n").succeeded();
    assert_eq!(keys(&serde_json::from_str(&json).unwrap()), ["left_alone", "resealed"]);
    assert_eq!(
        site.run_with_input(&RESEAL, "second-secret\n").succeeded(),
        "anna@example.org has no app passwords\n"
    );
}
