//! What every `Store` must do, run on both databases. It starts a PostgreSQL of its own; without one it fails.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test says what is wrong by panicking")]

mod accounts;
mod app_passwords;
mod audit_index;
mod changes;
mod factors;
mod notices;
mod opening;
mod portal;
#[path = "../../src/base/scratch.rs"]
mod scratch;
mod stale;
mod statements;
mod world;

use mailward::config::Database;

use self::world::{PostgresServer, block_on};

/// Each case is an async function of the database to use, in the module of its subject. On SQLite each is a test of its
/// own; on PostgreSQL one test runs them all, because starting a server takes longer than all of them.
macro_rules! contract {
    ($($subject:ident: $($case:ident),+;)+) => {
        mod sqlite {
            $($(#[test]
            fn $case() {
                let directory = super::scratch::Scratch::new();
                let database = super::Database::Sqlite(directory.path().join("mailward.db"));
                super::block_on(super::$subject::$case(database));
            })+)+
        }

        #[test]
        fn postgres_keeps_the_whole_contract() {
            let server = PostgresServer::start();
            $($(
                eprintln!("on PostgreSQL: {}", stringify!($case));
                block_on(async { $subject::$case(server.fresh_database(stringify!($case)).await).await });
            )+)+
        }
    };
}

contract! {
    statements:
        every_statement_is_understood,
        no_statement_reads_a_whole_table_but_those_that_list_one;
    opening:
        what_was_confirmed_is_there_after_reopening,
        many_processes_may_open_a_new_database_at_once,
        of_many_who_claim_the_key_check_one_does,
        a_database_of_a_newer_version_is_left_alone_and_told;
    accounts:
        of_many_who_add_an_account_one_does,
        accounts_are_listed_by_address_without_tombstones,
        an_account_is_bound_to_an_upstream_until_it_is_unbound_or_removed,
        suspending_and_resuming_touch_living_accounts_only,
        a_removed_account_that_had_a_factor_comes_back_as_must_bind,
        a_removed_account_without_a_factor_comes_back_free,
        nothing_is_added_to_a_removed_account;
    factors:
        a_factor_bound_while_its_account_is_removed_is_never_forgotten,
        a_factor_taken_back_was_never_bound,
        a_factor_is_replaced_whole_or_not_at_all,
        whoever_looks_while_a_factor_is_replaced_finds_one_of_the_two,
        of_many_who_claim_a_step_one_does,
        factors_bound_at_once_never_exceed_the_limit,
        a_factor_is_renamed_and_used_while_it_is_bound,
        unbinding_the_last_factor_takes_the_app_passwords_if_asked,
        of_many_who_use_a_recovery_code_one_does,
        recovery_codes_end_with_the_last_factor,
        of_many_who_use_a_challenge_one_does;
    app_passwords:
        app_passwords_made_at_once_never_exceed_the_limit,
        of_many_who_take_a_label_one_does,
        an_app_password_is_read_as_it_was_written,
        an_app_password_of_before_may_do_everything_and_none_may_do_what_nobody_knows,
        app_passwords_go_one_by_one_or_all,
        last_uses_never_go_back,
        clients_with_the_mailbox_password_are_known_until_they_have_an_app_password,
        of_an_accounts_clients_the_fifty_that_were_seen_last_are_known,
        of_many_who_fetch_a_profile_one_gets_it,
        a_profile_goes_with_its_app_password_or_its_account_and_the_oldest_make_room;
    stale:
        of_many_who_reseal_a_version_one_does,
        a_refused_seal_marks_those_of_its_account_that_are_no_younger,
        a_seal_that_was_replaced_is_never_marked,
        of_many_on_two_nodes_one_claims_a_probe,
        a_probe_given_back_is_due_again_and_does_not_count,
        a_taken_probe_clears_what_was_sealed_with_it_and_lets_the_rest_be_tried,
        re_sealing_forgets_that_a_seal_was_stale,
        rows_of_the_version_before_were_sealed_when_they_were_made;
    portal:
        a_portal_session_is_replaced_only_while_it_lives,
        of_many_who_take_what_a_portal_session_keeps_one_does,
        a_change_of_factors_ends_the_browsers_of_its_account_and_no_others,
        whoever_is_suspended_or_removed_is_signed_in_nowhere,
        a_browser_is_trusted_once_for_each_account,
        of_many_who_use_an_enrolment_link_one_does,
        an_enrolment_link_ends_with_the_first_factor_and_with_the_account,
        of_many_who_send_a_form_one_is_the_first,
        codes_by_mail_are_counted_when_they_are_sent_and_when_they_are_tried;
    notices:
        of_many_who_take_a_notice_one_does_until_its_time_is_over,
        the_oldest_notices_go_when_there_are_too_many_or_they_are_too_old,
        what_a_stranger_can_cause_is_told_seldom,
        a_sign_in_that_ends_with_a_notice_ends_once,
        a_browser_is_new_once;
    audit_index:
        an_audit_head_only_moves_forward,
        searches_find_what_was_indexed,
        of_many_records_the_newest_are_found_whatever_chain_and_block_they_are_in,
        a_chain_goes_from_the_index_whole_and_leaves_nothing_behind,
        an_index_that_is_being_taken_away_is_added_to_by_nobody,
        a_record_that_stands_twice_in_a_file_stops_no_index,
        the_index_of_the_version_before_is_made_anew,
        an_index_mark_moves_from_where_it_is_only,
        a_chain_without_its_file_is_anothers_only_where_the_database_is_shared;
    changes:
        a_change_under_a_live_session_leaves_a_row_and_nothing_else_does,
        a_change_that_is_undone_leaves_no_row,
        changes_become_visible_out_of_order_in_postgres_only,
        a_list_of_sessions_is_kept_by_nodes_that_live,
        changes_to_rows_of_an_account_wait_for_the_account_first;
}
