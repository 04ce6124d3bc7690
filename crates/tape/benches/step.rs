//! One training step of the reference HiNet without embedding tables: forward, backward, Adam; batch 1024.

mod reference;

use divan::Bencher;

fn main() {
    divan::main();
}

#[divan::bench(args = [1, 2])]
fn step_hinet_b1024_s6_t2(bencher: Bencher<'_, '_>, threads: usize) {
    let mut step = reference::Step::new(1024, threads);
    bencher.counter(divan::counter::ItemsCount::new(1024_usize)).bench_local(|| step.run());
}
