//! How long an edit of an order takes: `cargo bench --bench order`.

use std::fmt::Write as _;

use divan::Bencher;
use divan::counter::BytesCount;
use refloat::order::{Cron, Order, ScheduleName, Ttl, schedule_add, self_heal_off};

fn main() {
    divan::main();
}

/// An order of about so many bytes: environments, comments, texts and schedules.
fn order(size: usize, nested: bool) -> String {
    let mut text = format!(
        "appname: poseidon1\nvalues:{}\n  namespace:\n    name: poseidon1\n  argocd:\n    syncPolicy:\n      prune: true\n      selfHeal: true   # keep\n",
        if nested { "" } else { " |" }
    );
    text.push_str("  environments:\n");
    for index in 0.. {
        if text.len() > size * 3 / 4 {
            break;
        }
        let _ = writeln!(
            text,
            "    # environment {index} of the tenant\n    - name: e{index}\n      quota: {{cpu: \"{index}\", memory: 4Gi}}   # per namespace"
        );
    }
    text.push_str("  backup:\n    take_backup: true\n    backuplabel: \"backupresource: true\"\n    schedules:\n");
    for index in 0.. {
        if text.len() > size {
            break;
        }
        let _ = writeln!(
            text,
            "      - schedule: \"0 1 * * *\"\n        name: s{index}\n        ttl: 168h0m0s"
        );
    }
    text
}

const SIZES: [usize; 3] = [10_000, 100_000, 1_000_000];

#[divan::bench(args = SIZES, max_time = 2)]
fn read(bencher: Bencher, size: usize) {
    let text = order(size, false);
    bencher
        .counter(BytesCount::new(text.len()))
        .bench(|| Order::read(&text).unwrap());
}

#[divan::bench(args = SIZES, max_time = 2)]
fn self_heal_off_block_scalar(bencher: Bencher, size: usize) {
    let text = order(size, false);
    bencher
        .counter(BytesCount::new(text.len()))
        .bench(|| self_heal_off(&text).unwrap());
}

#[divan::bench(args = SIZES, max_time = 2)]
fn self_heal_off_nested(bencher: Bencher, size: usize) {
    let text = order(size, true);
    bencher
        .counter(BytesCount::new(text.len()))
        .bench(|| self_heal_off(&text).unwrap());
}

#[divan::bench(args = SIZES, max_time = 2)]
fn schedule_add_block_scalar(bencher: Bencher, size: usize) {
    let text = order(size, false);
    let (name, cron) = (
        ScheduleName::parse("nightly").unwrap(),
        Cron::parse("0 2 * * *").unwrap(),
    );
    let ttl = Ttl::parse("7d").ok();
    bencher
        .counter(BytesCount::new(text.len()))
        .bench(|| schedule_add(&text, &name, &cron, ttl).unwrap());
}
