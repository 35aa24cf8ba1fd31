//! Small programs with two to four threads, each of which can only end if no wake-up is lost.
//!
//! They are closed: every thread that waits waits for another one's act, and a server that does not get what was sent
//! to it waits for ever. So a message that is lost is a deadlock, one that comes twice or out of order fails an
//! assertion, and both are found by shuttle in the order of steps that leads there.

mod connecting;
mod ending;
mod guarding;
mod looping;
mod receiving;
mod sending;

use shuttle::thread::JoinHandle;

use crate::connection::Connection;
use crate::sync::Arc;
use crate::world::{Log, send, take_for_handler};

fn join<T>(thread: JoinHandle<T>) -> T {
    thread.join().expect("the thread did not panic")
}

fn answer(connection: &Arc<Connection>, log: &Log) {
    while let Some(message) = take_for_handler(connection) {
        log.push(message.clone());
        send(connection, &message);
    }
}

/// A scenario and the name of it.
pub type Scenario = (&'static str, fn());

/// All of them.
pub const ALL: &[Scenario] = &[
    ("handlers_answer", sending::handlers_answer),
    ("threads_send", sending::threads_send),
    ("threads_send_while_handlers_answer", sending::threads_send_while_handlers_answer),
    ("threads_receive", receiving::threads_receive),
    ("one_asks_while_another_sends", receiving::one_asks_while_another_sends),
    ("each_receives_its_own", receiving::each_receives_its_own),
    ("a_handler_waits", receiving::a_handler_waits),
    ("senders_wait_for_room", sending::senders_wait_for_room),
    ("senders_wait_for_room_from_an_echo", sending::senders_wait_for_room_from_an_echo),
    ("a_full_hold_pauses_reading", receiving::a_full_hold_pauses_reading),
    ("a_full_hold_pauses_reading_of_tls", receiving::a_full_hold_pauses_reading_of_tls),
    ("a_loop_and_threads", looping::a_loop_and_threads),
    ("a_task_asks_beside_threads", looping::a_task_asks_beside_threads),
    ("a_task_asks_and_the_guardian_reads", looping::a_task_asks_and_the_guardian_reads),
    ("a_violation_waits_for_a_receiver", ending::a_violation_waits_for_a_receiver),
    ("a_violation_waits_for_a_handler", ending::a_violation_waits_for_a_handler),
    ("all_close_at_once", ending::all_close_at_once),
    ("the_owner_delivers_while_another_pulls", receiving::the_owner_delivers_while_another_pulls),
    ("a_thread_that_waited_long_goes", receiving::a_thread_that_waited_long_goes),
    ("answers_come_to_attempts", connecting::answers_come_to_attempts),
    ("answers_come_to_attempts_of_a_loop", connecting::answers_come_to_attempts_of_a_loop),
    ("the_guardian_stands_in_for_a_handler", guarding::the_guardian_stands_in_for_a_handler),
    ("the_guardian_stands_in_for_a_loop", guarding::the_guardian_stands_in_for_a_loop),
    (
        "the_guardian_stands_in_for_a_loop_that_went_away",
        guarding::the_guardian_stands_in_for_a_loop_that_went_away,
    ),
    ("the_guardian_is_called_out_of_its_sleep", guarding::the_guardian_is_called_out_of_its_sleep),
    (
        "the_guardian_wakes_when_a_loop_leaves_something_undone",
        guarding::the_guardian_wakes_when_a_loop_leaves_something_undone,
    ),
    ("a_stream_of_sends_beside_a_busy_owner", guarding::a_stream_of_sends_beside_a_busy_owner),
    ("a_flood_inside_tls_leaves_others_their_turn", receiving::a_flood_inside_tls_leaves_others_their_turn),
    ("a_burst_waits_for_who_comes_late", receiving::a_burst_waits_for_who_comes_late),
    (
        "a_violation_that_nobody_waits_for_keeps_nothing",
        ending::a_violation_that_nobody_waits_for_keeps_nothing,
    ),
    ("the_last_message_then_closed", ending::the_last_message_then_closed),
    ("a_taker_keeps_its_place_over_a_pause", receiving::a_taker_keeps_its_place_over_a_pause),
];

/// Has the waker lose every call while `run` lasts.
pub fn losing_wake_ups(run: impl FnOnce()) {
    crate::sys::poller::LOSES_WAKE_UPS.set(true);
    run();
}
