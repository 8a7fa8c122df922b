//! App passwords that may only read: what they are for, and what whoever is let in by one may do.

use super::*;

#[tokio::test]
async fn an_app_password_that_may_only_read_reads_and_is_not_for_sending() {
    let site = Site::open().await;
    let account = site.account(ALICE).await;
    let read_only = Scope { access: Access::ReadOnly, ..anywhere() };
    for (scope, access) in [(read_only, Access::ReadOnly), (anywhere(), Access::Full)] {
        let printed = site.app_password(&account, scope).await;
        // The second time it is known already.
        for _ in 0..2 {
            for protocol in Protocol::ALL {
                let origin = origin(protocol, 1);
                let ended = site.attempt(&origin, ALICE, &printed, |login| site.upstream_says(&login)).await;
                match ended {
                    Ended::In(passage) => assert_eq!(passage.access(), access, "{protocol}"),
                    Ended::Out(refused) => {
                        assert_eq!((access, protocol), (Access::ReadOnly, Protocol::Smtp));
                        assert_eq!(
                            refused,
                            Refused { refusal: Refusal::OutOfScope, not_before: Duration::ZERO }
                        );
                        let record = site.records("login").pop().unwrap();
                        assert_eq!(record["reason"], "the app password is not for this protocol");
                    }
                }
            }
        }
        let smtp = origin(Protocol::Smtp, 1);
        let ended = site.attempt(&smtp, ALICE, &printed, |login| site.upstream_says(&login)).await;
        assert_eq!(ended.is_in(), access == Access::Full);
    }
    let Ended::In(passage) = site.try_in(1, ALICE, MAILBOX).await else {
        panic!("the mailbox password is right")
    };
    assert_eq!(passage.access(), Access::Full);
}

#[tokio::test]
async fn an_app_password_whose_row_was_made_to_do_more_opens_nothing() {
    let site = Site::open().await;
    let account = site.account(ALICE).await;
    let printed = site.app_password(&account, Scope { access: Access::ReadOnly, ..anywhere() }).await;
    let Store::Sqlite(pool, _) = &site.store else { unreachable!() };
    for statement in [
        "UPDATE app_passwords SET access = 'full'",
        "UPDATE app_passwords SET access = 'full', protocols = 'imap,pop3,smtp'",
    ] {
        sqlx::query(statement).execute(pool).await.unwrap();
        for protocol in Protocol::ALL {
            let origin = origin(protocol, 1);
            let ended = site.attempt(&origin, ALICE, &printed, |login| site.upstream_says(&login)).await;
            assert_eq!(ended.refusal(), Some(Refusal::Unavailable), "{protocol}");
        }
    }
    assert_eq!(site.asked(), 0);
}
