//! No secret is left behind anywhere: not in the database, its journal, the trail, or the most talkative of logs.

mod portal;
mod search;
mod story;
