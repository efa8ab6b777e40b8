//! The power button, which a hypervisor presses to ask for an orderly end.

use crate::log;
use rustix::process::{Signal, getpid, kill_process};
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::Read;

/// `struct input_event`: two words of time, then type, code and value.
const EVENT: usize = 24;

/// Listens to every input device that is not `known` yet, each with a thread that sleeps.
pub fn watch(known: &mut BTreeSet<OsString>) {
    let devices = fs::read_dir("/dev/input").into_iter().flatten().flatten();
    let events = devices.filter(|entry| entry.file_name().to_string_lossy().starts_with("event"));
    for event in events.filter(|entry| known.insert(entry.file_name())) {
        if let Ok(device) = File::open(event.path()) {
            std::thread::spawn(move || listen(device));
        }
    }
}

fn listen(mut device: impl Read) {
    let mut event = [0; EVENT];
    while device.read_exact(&mut event).is_ok() {
        if is_power_pressed(&event) {
            log::line("power button");
            // As if somebody had asked this process.
            let _ = kill_process(getpid(), Signal::TERM);
        }
    }
}

fn is_power_pressed(event: &[u8; EVENT]) -> bool {
    const EV_KEY: u16 = 1;
    const KEY_POWER: u16 = 116;
    const PRESSED: i32 = 1;
    let mut expected = [0; 8];
    expected[..2].copy_from_slice(&EV_KEY.to_ne_bytes());
    expected[2..4].copy_from_slice(&KEY_POWER.to_ne_bytes());
    expected[4..].copy_from_slice(&PRESSED.to_ne_bytes());
    event[16..] == expected
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_press_of_the_power_key_counts() {
        let mut event = [7; EVENT];
        event[16..].copy_from_slice(&[1, 0, 116, 0, 1, 0, 0, 0]);
        assert!(is_power_pressed(&event));
        for (at, other) in [(16, 0), (18, 30), (20, 0), (20, 2)] {
            let mut event = event;
            event[at] = other;
            assert!(!is_power_pressed(&event), "{at}");
        }
    }
}
