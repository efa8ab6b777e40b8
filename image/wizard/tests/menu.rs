//! The menu of a configured machine.

use std::time::{Duration, Instant};
use users::Secret;
use wizard::desk::{Said, Talk};
use wizard::menu::{Action, Menu, World};

const PASSWORD: &str = "correct horse battery";
const TEXT: &str = "[[interface]]\nname = \"eth0\"\nport = \"0000:00:02.0\"\n\
                    addresses = [\"10.0.0.21/24\"]\n";

/// A machine whose answers are known.
#[derive(Default)]
struct Fake {
    password: Option<String>,
    asked: std::rc::Rc<std::cell::RefCell<Vec<String>>>,
}

impl World for Fake {
    fn status(&mut self) -> String {
        "all is well\n".into()
    }
    fn has_user(&self) -> bool {
        self.password.is_some()
    }
    fn is_right(&mut self, password: Secret) -> bool {
        self.asked.borrow_mut().push("password".into());
        self.password.as_deref() == Some(password.reveal())
    }
    fn set_password(&mut self, password: Secret) -> Result<(), String> {
        self.password = Some(password.reveal().into());
        Ok(())
    }
    fn configuration(&mut self) -> Result<String, String> {
        Ok(TEXT.into())
    }
    fn apply(&mut self, text: &str) -> Result<(), String> {
        self.asked.borrow_mut().push(text.into());
        Ok(())
    }
}

fn menu() -> Menu<Fake> {
    Menu::new(Fake { password: Some(PASSWORD.into()), ..Fake::default() })
}

fn told(menu: &mut Menu<Fake>, line: &str, now: Instant) -> String {
    match menu.hear(line, now) {
        Said::Tell(text) => text,
        Said::Leave(_) => "(leave)".into(),
        Said::End(action) => format!("({action:?})"),
    }
}

#[test]
fn nothing_is_done_without_the_password_and_it_is_asked_again_after_leaving() {
    let (mut menu, now) = (menu(), Instant::now());
    assert!(menu.greeting().contains("all is well"));
    assert!(menu.is_secret());
    assert_eq!(told(&mut menu, "4", now), "That is not the password.\n");
    let later = now + Duration::from_secs(90);
    assert!(told(&mut menu, PASSWORD, later).contains("power off"));
    assert!(!menu.is_secret());
    assert!(told(&mut menu, "", later).contains("all is well"));
    assert!(told(&mut menu, "9", later).contains("write a number from 1 to 6"));
    menu.left();
    menu.greeting();
    assert_eq!(told(&mut menu, "4", later), "That is not the password.\n");
    let much_later = later + Duration::from_secs(90);
    told(&mut menu, PASSWORD, much_later);
    assert_eq!(told(&mut menu, "4", much_later), "(PowerOff)");
}

#[test]
fn each_guess_waits_longer_and_is_not_even_looked_at_meanwhile() {
    let asked = std::rc::Rc::default();
    let world = Fake { password: Some(PASSWORD.into()), asked: std::rc::Rc::clone(&asked) };
    let (mut menu, mut now) = (Menu::new(world), Instant::now());
    menu.greeting();
    for wait in [1, 2, 4, 8, 16, 32, 60, 60] {
        told(&mut menu, "a guess", now);
        let looked = asked.borrow().len();
        let just = now + Duration::from_secs(wait) - Duration::from_millis(1);
        assert!(told(&mut menu, PASSWORD, just).contains("try again in 1 s"), "{wait}");
        assert_eq!(asked.borrow().len(), looked);
        now += Duration::from_secs(wait);
    }
    assert!(told(&mut menu, PASSWORD, now).contains("lbrestore"));
}

#[test]
fn factory_settings_want_their_word() {
    let (mut menu, now) = (menu(), Instant::now());
    menu.greeting();
    told(&mut menu, PASSWORD, now);
    assert!(told(&mut menu, "lbrestore", now).contains("put aside"));
    assert!(told(&mut menu, "yes", now).contains("Nothing was done"));
    told(&mut menu, "5", now);
    assert_eq!(told(&mut menu, "factory", now), "(Restore)");
    told(&mut menu, PASSWORD, now);
    assert_eq!(told(&mut menu, "3", now), "(Restart)");
}

#[test]
fn network_settings_change_the_configuration_or_tell_why_not() {
    let asked = std::rc::Rc::default();
    let world = Fake { password: Some(PASSWORD.into()), asked: std::rc::Rc::clone(&asked) };
    let (mut menu, now) = (Menu::new(world), Instant::now());
    menu.greeting();
    told(&mut menu, PASSWORD, now);
    assert!(told(&mut menu, "2", now).contains("eth0     10.0.0.21/24"));
    assert!(told(&mut menu, "eth7", now).contains("Nothing was changed"));
    for (address, gateway, expected) in [
        ("10.0.0.31/24", "10.0.0.1", "are in force"),
        ("10.0.0.31", "", "Nothing was changed: "),
        ("", "10.9.9.9", "Nothing was changed: "),
    ] {
        for line in ["2", "eth0", address] {
            told(&mut menu, line, now);
        }
        let told = told(&mut menu, gateway, now);
        assert!(told.contains(expected), "{told}");
    }
    let asked = asked.borrow();
    assert_eq!(asked.len(), 2, "the password and one configuration");
    assert!(asked[1].contains("10.0.0.31/24") && asked[1].contains("gateway = \"10.0.0.1\""));
}

#[test]
fn without_a_user_the_console_makes_the_first_one() {
    let (mut menu, now) = (Menu::new(Fake::default()), Instant::now());
    assert!(menu.greeting().contains("there is no user"));
    assert!(menu.is_secret());
    assert!(told(&mut menu, "short", now).contains("at least 12"));
    told(&mut menu, PASSWORD, now);
    assert!(menu.is_secret());
    assert!(told(&mut menu, "another password", now).contains("differ"));
    told(&mut menu, PASSWORD, now);
    assert!(told(&mut menu, PASSWORD, now).contains("has this password now"));
    assert_eq!(told(&mut menu, "6", now), "(leave)");
    assert!(!menu.greeting().contains("there is no user"));
    let End::Restart = restart(&mut menu, now) else { panic!("the new password opens the menu") };
}

enum End {
    Restart,
    Other,
}

fn restart(menu: &mut Menu<Fake>, now: Instant) -> End {
    told(menu, PASSWORD, now);
    match menu.hear("restart", now) {
        Said::End(Action::Restart) => End::Restart,
        _ => End::Other,
    }
}
