//! Every scenario over many orders of steps. `ROUNDS` (orders of each kind for each scenario), `SEED` and `SCENARIO` (a
//! part of a name) say more than the default, which is short enough for every test run.

use shuttle::scheduler::{PctScheduler, RandomScheduler, Scheduler};
use shuttle::{Config, MaxSteps, Runner};
use sunsocket_model::scenarios;

const ROUNDS: usize = 150;
/// Points at which the PCT scheduler lets another thread overtake: bugs that need that many are found.
const DEPTH: usize = 3;

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name}={text}")))
}

fn check(scheduler: impl Scheduler + 'static, scenario: fn()) {
    let mut config = Config::new();
    // A thread that only looks again and again has met a livelock.
    config.max_steps = MaxSteps::FailAfter(200_000);
    config.stack_size = 256 << 10;
    Runner::new(scheduler, config).run(scenario);
}

#[test]
fn no_order_of_steps_loses_a_wake_up_or_a_message() {
    let rounds = usize::try_from(number("ROUNDS", ROUNDS as u64)).expect("a number of rounds");
    let seed = number("SEED", 1);
    let wanted = std::env::var("SCENARIO").unwrap_or_default();
    for (name, scenario) in scenarios::ALL.iter().filter(|(name, _)| name.contains(&wanted)) {
        // What fails says where: this line comes right before it.
        println!("model: {name}: {rounds} random orders and {rounds} of depth {DEPTH}, SEED={seed}");
        check(RandomScheduler::new_from_seed(seed, rounds), *scenario);
        check(PctScheduler::new_from_seed(seed, DEPTH, rounds), *scenario);
    }
}

/// The proof that a hang is found: the same scenario with a waker that does nothing.
#[test]
#[should_panic(expected = "deadlock")]
fn a_wake_up_that_gets_lost_is_found() {
    let scenario = |name| scenarios::ALL.iter().find(|(other, _)| *other == name).expect("its name").1;
    scenarios::losing_wake_ups(|| check(RandomScheduler::new_from_seed(1, 100), scenario("threads_send")));
}
