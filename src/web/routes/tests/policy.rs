//! What a site's policy says, as pages show it.

use axum::http::StatusCode;

use super::harness::{ALICE, Site};
use super::passkeys;

#[tokio::test]
async fn a_kind_that_is_offered_no_longer_is_not_replaced_and_another_takes_its_place() {
    let site = Site::open().await;
    let (mut alice, ..) = site.bound(ALICE).await;
    let list = alice.get("/second-factors").await;
    let id = list.first(r"/second-factors/([0-9a-f-]{36})/change");
    let (change, unbind) = (format!("/second-factors/{id}/change"), format!("/second-factors/{id}/unbind"));
    site.adopt("[policy]\nsecond_factor = \"required\"\nrequired_since = 2020-01-01\n");
    let page = alice.get(&unbind).await;
    assert!(page.text.contains(&change) && page.text.contains("You can replace it instead."));

    site.adopt(
        "[policy]\nsecond_factor = \"required\"\nrequired_since = 2020-01-01\nfactors = [\"passkey\"]\n",
    );
    assert_eq!(alice.get(&change).await.status, StatusCode::NOT_FOUND);
    let list = alice.get("/second-factors").await;
    assert!(list.text.contains(&unbind) && !list.text.contains("/change\""), "{}", list.text);
    for (language, words) in [("zh-CN", "请先再绑定一个"), ("en", "Bind another one first.")] {
        alice.language = language;
        let page = alice.get(&unbind).await;
        let token = alice.token().await;
        let refused = alice.post(&unbind, &[], &token).await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN);
        for page in [page, refused] {
            assert!(page.text.contains(words) && !page.text.contains("/change\""), "{}", page.text);
            assert!(page.text.contains("class=\"button\" href=\"/second-factors/new\""), "{}", page.text);
        }
    }
    assert_eq!(alice.get("/second-factors/new").await.status, StatusCode::OK);
    let (_, bound) = passkeys::bind(&mut alice, 0).await;
    assert_eq!(bound.leads_to(), Some("/second-factors?done=bound"), "{}", bound.text);
    let page = alice.get(&unbind).await;
    let unbound = alice.post(&unbind, &[], &page.form_token()).await;
    assert_eq!(unbound.leads_to(), Some("/second-factors?done=unbound"), "{}", unbound.text);
    let list = alice.get("/second-factors").await;
    assert_eq!(list.all(r"/second-factors/([0-9a-f-]{36})/change").len(), 1, "{}", list.text);
}
