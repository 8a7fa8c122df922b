//! Which addresses are other names of which accounts, from the lists that administrators keep.
//!
//! A list is trusted, and still every line must make sense: an alias that was meant and is not known is a way past
//! a second factor.

use std::collections::HashMap;

use super::NameRefused;
use crate::base::{Address, LoginName, UpstreamName};
use crate::config::{AliasesFile, Problem};

/// Every alias of every upstream.
#[derive(Default)]
pub(super) struct Aliases {
    primaries: HashMap<Address, Address>,
}

impl Aliases {
    /// The address of the account that `address` means.
    pub(super) fn resolve(&self, address: Address) -> Address {
        self.primaries.get(&address).cloned().unwrap_or(address)
    }

    /// Takes in the list of `upstream`. `fold` finds the address that a name spells, as if somebody had typed it who
    /// has an account there, and its upstream.
    ///
    /// # Errors
    /// Every line that means nothing, or contradicts another.
    pub(super) fn add(
        &mut self,
        file: &AliasesFile,
        upstream: &UpstreamName,
        fold: impl Fn(&LoginName) -> Result<(Address, UpstreamName), NameRefused>,
    ) -> Result<(), Vec<Problem>> {
        let mut problems = vec![];
        let mut seen: HashMap<Address, (Address, usize)> = HashMap::new();
        let address = |name: &LoginName| match fold(name) {
            Ok((address, found)) if found == *upstream => Ok(address),
            Ok((_, other)) => Err(format!(
                "`{}` is of `{other}`, and this is the list of `{upstream}`\nhint: both names of a mailbox lead to the same `[[upstream]]`",
                name.as_str()
            )),
            Err(why) => Err(format!("`{}` {}", name.as_str(), explain(why))),
        };
        for line in &file.lines {
            let (alias, primary) = match (address(&line.alias), address(&line.primary)) {
                (Ok(alias), Ok(primary)) => (alias, primary),
                (alias, primary) => {
                    let wrong = [alias, primary].into_iter().filter_map(Result::err);
                    problems.extend(wrong.map(|text| Problem::new(line.number, &text)));
                    continue;
                }
            };
            let wrong = if alias == primary {
                Some(format!(
                    "both names are `{primary}` already\nhint: remove the line; case, forms of letters and `domain_aliases` need no list"
                ))
            } else {
                seen.get(&alias).map(|(other, number)| {
                    if *other == primary {
                        format!("`{alias}` is in line {number} already\nhint: remove one of the two")
                    } else {
                        format!("`{alias}` means `{other}` in line {number}, and `{primary}` here\nhint: one mailbox is one account; remove the wrong line, or the alias if it has no mailbox to log in to")
                    }
                })
            };
            match wrong {
                Some(text) => problems.push(Problem::new(line.number, &text)),
                None => {
                    seen.insert(alias, (primary, line.number));
                }
            }
        }
        for (primary, number) in seen.values() {
            if let Some((end, other)) = seen.get(primary) {
                problems.push(Problem::new(
                    *number,
                    &format!("`{primary}` is itself an alias, of `{end}` (line {other})\nhint: write the name that the account has, which is no alias"),
                ));
            }
        }
        if problems.is_empty() {
            self.primaries.extend(seen.into_iter().map(|(alias, (primary, _))| (alias, primary)));
            return Ok(());
        }
        problems.sort_by_key(|problem| problem.line);
        Err(problems)
    }
}

/// Behind the name, in words for whoever wrote the list.
fn explain(why: NameRefused) -> &'static str {
    match why {
        NameRefused::NotAnAddress => {
            "cannot be an account\nhint: write a whole address without quotes or display name; a bare name needs the upstream's `default_domain`"
        }
        NameRefused::UnknownDomain => {
            "is of a domain that no upstream serves\nhint: correct it, or add the domain to `domains`"
        }
        NameRefused::MasterSeparator => {
            "holds the separator of `[upstream.master]`, and is refused without being listed\nhint: remove the line"
        }
        // Nobody is looked for at another upstream than their domain's here.
        NameRefused::NoSuchUpstream | NameRefused::DomainNotHeard => "leads nowhere\nhint: remove the line",
        NameRefused::SubAddress => {
            "is a sub-address, and is refused without being listed\nhint: remove the line; or change `sub_address_delimiter`, if your server has no sub-addresses"
        }
    }
}
