//! Who sits where. Connections have seats, so many in all and so many for one address. When none is
//! free, one of those gives theirs up on whom we wait anyway: that say nothing yet, that were
//! answered and are silent, or that are still sending. Of these three crowds the largest loses
//! whoever has kept us waiting for longest, so that no way of keeping us waiting, in whatever number,
//! keeps anybody out who comes in another way, and a newcomer is not the first to go.

use crate::platform::address::holder;
use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// File descriptors kept for the database, for partners and for the program's own files: however
/// many people connect, alerts must get out.
const KEPT: u64 = 256;

/// All seats of one server.
#[derive(Clone)]
pub(super) struct Seats(Arc<Inner>);

struct Inner {
    room: Mutex<Room>,
    most: usize,
    most_of_one: usize,
    freed: Notify,
}

#[derive(Default)]
struct Room {
    /// By seat.
    taken: HashMap<u64, Sitting>,
    by_address: HashMap<IpAddr, usize>,
    /// The seats of those on whom we wait, by how and in the order in which it began.
    waited_for: [BTreeMap<u64, u64>; 3],
    /// Counts seats and waits alike.
    next: u64,
}

/// How somebody keeps us waiting. When crowds are of one size, the first of these loses somebody.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Wait {
    /// Answered, and silent since; may still be reading.
    Silent,
    /// Has not spoken yet.
    Unspoken,
    /// Its request is not here as a whole.
    Sending,
}

const WAITS: [Wait; 3] = [Wait::Silent, Wait::Unspoken, Wait::Sending];

struct Sitting {
    address: IpAddr,
    /// None while a request is answered.
    waited_for: Option<(Wait, u64)>,
    leave: Arc<Notify>,
}

/// What asking for a seat gives.
enum Asked {
    Seat(Seat),
    /// Everybody is being served; one of them will end.
    Full,
    /// This address has all that one address may have, and uses them all.
    TooMany,
}

/// A seat, until it is dropped.
pub(super) struct Seat {
    seats: Seats,
    id: u64,
    leave: Arc<Notify>,
}

/// Held from the beginning of a request until it is answered.
pub(super) struct Turn {
    seats: Seats,
    id: u64,
}

/// Which addresses may have how many of the seats.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Callers {
    /// One address has half of them at most: a hospital comes from one.
    Many,
    /// A proxy brings everybody.
    OneProxy,
}

impl Seats {
    pub(super) fn new(most: usize, callers: Callers) -> Self {
        let most = most.max(1);
        let most_of_one = match callers {
            Callers::Many => (most / 2).max(1),
            Callers::OneProxy => most,
        };
        Self(Arc::new(Inner { room: Mutex::default(), most, most_of_one, freed: Notify::new() }))
    }

    /// A seat for a connection from `address`, waiting for one if need be. None if it has all that
    /// one address may have.
    pub(super) async fn take(&self, address: IpAddr) -> Option<Seat> {
        let address = holder(address);
        loop {
            let freed = self.0.freed.notified();
            match self.ask(address) {
                Asked::Seat(seat) => return Some(seat),
                Asked::TooMany => return None,
                Asked::Full => freed.await,
            }
        }
    }

    fn ask(&self, address: IpAddr) -> Asked {
        let mut room = self.room();
        // Where one address may have them all, it waits like anybody else.
        let own = self.0.most_of_one < self.0.most && room.of(address) >= self.0.most_of_one;
        if own && !room.dismiss(Some(address)) {
            return Asked::TooMany;
        }
        if room.taken.len() >= self.0.most && !room.dismiss(None) {
            return Asked::Full;
        }
        Asked::Seat(self.sit(&mut room, address))
    }

    fn sit(&self, room: &mut Room, address: IpAddr) -> Seat {
        let id = room.count();
        let leave = Arc::new(Notify::new());
        room.taken.insert(id, Sitting { address, waited_for: None, leave: leave.clone() });
        room.wait(id, Some(Wait::Unspoken));
        *room.by_address.entry(address).or_default() += 1;
        Seat { seats: self.clone(), id, leave }
    }

    /// Sends one away on whom we wait; false if there is nobody.
    pub(super) fn make_room(&self) -> bool {
        self.room().dismiss(None)
    }

    fn room(&self) -> MutexGuard<'_, Room> {
        self.0.room.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Room {
    fn count(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    fn of(&self, address: IpAddr) -> usize {
        self.by_address.get(&address).copied().unwrap_or(0)
    }

    /// From now on this seat is waited for in this way, or is not. False if it was given away.
    fn wait(&mut self, id: u64, how: Option<Wait>) -> bool {
        let now = self.count();
        let Some(sitting) = self.taken.get_mut(&id) else { return false };
        let before = std::mem::replace(&mut sitting.waited_for, how.map(|w| (w, now)));
        if let Some((w, since)) = before {
            self.waited_for[w as usize].remove(&since);
        }
        if let Some(w) = how {
            self.waited_for[w as usize].insert(now, id);
        }
        true
    }

    /// Takes the seat of the first who has to go, of this address or of all.
    fn dismiss(&mut self, of: Option<IpAddr>) -> bool {
        let theirs =
            |id: &u64| of.is_none_or(|a| self.taken.get(id).is_some_and(|s| s.address == a));
        let mut crowds = WAITS;
        // Stable: of two that are as large the first goes on being the first.
        crowds.sort_by_key(|w| std::cmp::Reverse(self.waited_for[*w as usize].len()));
        let mut first = crowds.iter().map(|w| self.waited_for[*w as usize].values());
        let Some(id) = first.find_map(|mut ids| ids.find(|id| theirs(id)).copied()) else {
            return false;
        };
        let gone = self.free(id);
        if let Some(s) = &gone {
            s.leave.notify_one();
        }
        gone.is_some()
    }

    fn free(&mut self, id: u64) -> Option<Sitting> {
        self.wait(id, None);
        let sitting = self.taken.remove(&id)?;
        if let Some(n) = self.by_address.get_mut(&sitting.address) {
            *n -= 1;
            if *n == 0 {
                self.by_address.remove(&sitting.address);
            }
        }
        Some(sitting)
    }
}

impl Seat {
    /// Ends when this seat has been given to somebody else.
    pub(super) async fn taken_away(&self) {
        self.leave.notified().await;
    }

    /// A request has begun; none if the seat is somebody else's by now, and then it is not answered.
    pub(super) fn speaks(&self) -> Option<Turn> {
        let still = self.seats.room().wait(self.id, Some(Wait::Sending));
        still.then(|| Turn { seats: self.seats.clone(), id: self.id })
    }

    /// What says that its request is here as a whole, and nobody waits for it any more.
    pub(super) fn has_spoken(&self) -> impl FnOnce() + Send + use<> {
        let (seats, id) = (self.seats.clone(), self.id);
        move || {
            let mut room = seats.room();
            // A request of which nobody read the rest may be answered by now.
            let sends = |s: &Sitting| matches!(s.waited_for, Some((Wait::Sending, _)));
            if room.taken.get(&id).is_some_and(sends) {
                room.wait(id, None);
            }
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        // Somebody whose seat was given away has none to free.
        if self.seats.room().free(self.id).is_some() {
            self.seats.0.freed.notify_one();
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if self.seats.room().wait(self.id, Some(Wait::Silent)) {
            // Who waits for a seat may have this one.
            self.seats.0.freed.notify_one();
        }
    }
}

/// How many connections the operating system lets us serve beside everything else, at most `most`.
/// Raises what this process may open as far as it is allowed to.
pub(super) fn affordable(most: usize) -> usize {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        let wider = Rlimit { current: limit.maximum, maximum: limit.maximum };
        // Not being let is no fault: the limit stays and the seats are fewer.
        let _ = setrlimit(Resource::Nofile, wider);
    }
    match getrlimit(Resource::Nofile).current {
        None => most,
        Some(files) => most.min(within(files)),
    }
}

/// Connections for so many file descriptors: all but those kept, or half where they are few.
fn within(files: u64) -> usize {
    usize::try_from(files.saturating_sub(KEPT).max(files / 2)).unwrap_or(usize::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;
    use std::time::Duration;

    fn from(n: u8) -> IpAddr {
        Ipv4Addr::new(127, 0, 0, n).into()
    }

    /// Whether this connection has been sent away.
    async fn is_gone(s: &Seat) -> bool {
        tokio::time::timeout(Duration::from_millis(20), s.taken_away()).await.is_ok()
    }

    fn asked(seats: &Seats, n: u8) -> Seat {
        match seats.ask(from(n)) {
            Asked::Seat(s) => s,
            Asked::Full => panic!("full"),
            Asked::TooMany => panic!("too many"),
        }
    }

    /// A seat whose request is being answered.
    fn served(seat: &Seat) -> Turn {
        let turn = seat.speaks().unwrap();
        seat.has_spoken()();
        turn
    }

    #[tokio::test]
    async fn whoever_kept_us_waiting_for_longest_goes_and_whoever_is_served_stays() {
        let seats = Seats::new(4, Callers::Many);
        let first = asked(&seats, 1);
        let turn = served(&first);
        let (old, newer, newest) = (asked(&seats, 2), asked(&seats, 3), asked(&seats, 4));
        // It was answered, and is one of few who were.
        drop(turn);
        let next = asked(&seats, 5);
        assert!(is_gone(&old).await && old.speaks().is_none(), "nothing is begun on a lost seat");
        drop(old);
        let another = asked(&seats, 6);
        assert!(is_gone(&newer).await);
        for s in [&first, &newest, &next, &another] {
            assert!(!is_gone(s).await);
        }
        assert_eq!(seats.room().taken.len(), 4);
        // Nor does it keep anybody out once all others are being served.
        let _all: Vec<Turn> = [&newest, &next, &another].map(served).into();
        let last = asked(&seats, 7);
        assert!(is_gone(&first).await && !is_gone(&last).await);
    }

    /// However all seats were filled, whoever comes may speak before the next comers send it away.
    #[tokio::test]
    async fn no_crowd_keeps_a_newcomer_out() {
        for crowd in WAITS {
            let seats = Seats::new(40, Callers::Many);
            let mut turns = Vec::new();
            let filled: Vec<Seat> = (0..40_u8)
                .map(|n| {
                    let seat = asked(&seats, n / 4);
                    match crowd {
                        Wait::Unspoken => {}
                        Wait::Silent => drop(served(&seat)),
                        Wait::Sending => turns.push(seat.speaks().unwrap()),
                    }
                    seat
                })
                .collect();
            let newcomer = asked(&seats, 100);
            let later: Vec<Seat> = (101..111).map(|n| asked(&seats, n)).collect();
            assert!(!is_gone(&newcomer).await, "{crowd:?}");
            // Nor is it sent away while it sends, is served, or reads.
            let turn = newcomer.speaks().unwrap();
            let more: Vec<Seat> = (111..116).map(|n| asked(&seats, n)).collect();
            newcomer.has_spoken()();
            drop(turn);
            let last: Vec<Seat> = (116..120).map(|n| asked(&seats, n)).collect();
            assert!(!is_gone(&newcomer).await, "{crowd:?}");
            assert!(is_gone(&filled[0]).await && seats.room().taken.len() == 40);
            drop((filled, turns, later, more, last, newcomer));
            let room = seats.room();
            assert!(room.taken.is_empty() && room.by_address.is_empty());
            assert!(room.waited_for.iter().all(BTreeMap::is_empty), "nobody is left");
        }
    }

    #[test]
    fn what_is_said_of_an_earlier_request_is_not_said_of_the_next() {
        let seats = Seats::new(1, Callers::Many);
        let seat = asked(&seats, 1);
        let turn = seat.speaks().unwrap();
        // Nobody read it to its end before it was answered.
        let late = seat.has_spoken();
        drop(turn);
        late();
        assert!(seats.make_room(), "it is waited for like anybody who was answered");
    }

    #[tokio::test]
    async fn one_address_has_half_and_gives_up_its_own_only() {
        let seats = Seats::new(4, Callers::Many);
        let other = asked(&seats, 1);
        let (a, b) = (asked(&seats, 2), asked(&seats, 2));
        let c = asked(&seats, 2);
        assert!(is_gone(&a).await && !is_gone(&other).await);
        let held = (served(&b), served(&c));
        assert!(matches!(seats.ask(from(2)), Asked::TooMany));
        assert!(seats.take(from(2)).await.is_none());
        drop(held);
        assert!(seats.take(from(2)).await.is_some());
    }

    #[tokio::test]
    async fn all_addresses_of_one_holder_are_one() {
        let seats = Seats::new(4, Callers::Many);
        let at = |n: u16| IpAddr::from([0x2001, 0xdb8, 0, 1, 0, 0, 0, n]);
        let (a, b) = (seats.take(at(1)).await.unwrap(), seats.take(at(2)).await.unwrap());
        let c = seats.take(at(3)).await.unwrap();
        assert!(is_gone(&a).await && !is_gone(&b).await && !is_gone(&c).await);
    }

    #[tokio::test]
    async fn a_proxy_has_all_seats_and_waits_for_one() {
        let seats = Seats::new(2, Callers::OneProxy);
        let (a, b) = (asked(&seats, 1), asked(&seats, 1));
        let _held = (served(&a), served(&b));
        assert!(matches!(seats.ask(from(1)), Asked::Full));
    }

    #[tokio::test]
    async fn with_everybody_served_the_next_waits_for_the_first_to_end() {
        let seats = Seats::new(2, Callers::Many);
        let (a, b) = (asked(&seats, 1), asked(&seats, 2));
        let (turn, _other) = (served(&a), served(&b));
        let waiting = tokio::spawn({
            let seats = seats.clone();
            async move { seats.take(from(3)).await.is_some() }
        });
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert!(!waiting.is_finished() && !seats.make_room());
        drop(turn);
        assert!(waiting.await.unwrap());
        assert!(is_gone(&a).await);
        drop((a, b));
        assert_eq!(seats.room().by_address.len(), 0, "nobody is left");
    }

    #[test]
    fn files_are_kept_for_alerts() {
        assert_eq!(within(64), 32);
        assert_eq!(within(1024), 768);
        assert_eq!(within(20_000), 19_744);
        assert_eq!(within(0), 1);
    }
}
