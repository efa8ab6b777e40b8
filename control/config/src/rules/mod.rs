//! Rules between objects. They run over the whole draft, whatever else is wrong with it, and leave
//! alone what depends on a value that was already reported.

mod addresses;
mod checks;
mod interfaces;
mod layer7;
mod modes;
mod names;
mod overlap;
mod pool;
mod rule;
mod tls;

use crate::cx::Cx;
use crate::known::Known;
use crate::read::Draft;

pub(crate) fn check(cx: &mut Cx<'_>, draft: &Draft, known: Option<&Known>) {
    names::check(cx, draft);
    interfaces::check(cx, draft);
    addresses::check(cx, draft);
    modes::check(cx, draft);
    layer7::check(cx, draft);
    pool::check(cx, draft);
    checks::check(cx, draft);
    overlap::check(cx, draft);
    rule::check(cx, draft);
    tls::check(cx, draft, known);
}
