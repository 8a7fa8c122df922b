//! Guessing, and those who must not suffer for it: owners, their neighbours, and the server behind the gate.

mod owners;
mod slow;
mod strict;
mod uniform;
mod upstream;
