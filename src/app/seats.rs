//! Who sits where. Connections have seats, so many in all and so many for one address. When none is
//! free, whoever has been silent for longest gives theirs up, those first who never said anything:
//! saying nothing keeps nobody out.

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
    /// Those that say nothing, in the order in which they have to go, with their seats.
    silent: BTreeMap<Silence, u64>,
    /// Counts seats and silences alike.
    next: u64,
}

/// Whether it was answered before, and when it fell silent. Whoever was answered comes after all who
/// never spoke: it may still be reading, and is somebody.
type Silence = (bool, u64);

struct Sitting {
    address: IpAddr,
    /// Its place among the silent; none while a request is answered.
    since: Option<Silence>,
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

/// Held while a request is answered.
pub(super) struct Busy {
    seats: Seats,
    id: u64,
}

impl Seats {
    /// Half of them at most for one address: a hospital comes from one.
    pub(super) fn new(most: usize) -> Self {
        Self(Arc::new(Inner {
            room: Mutex::default(),
            most: most.max(1),
            most_of_one: (most / 2).max(1),
            freed: Notify::new(),
        }))
    }

    /// A seat for a connection from `address`, waiting for one if need be. None if it has all that
    /// one address may have.
    pub(super) async fn take(&self, address: IpAddr) -> Option<Seat> {
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
        if room.of(address) >= self.0.most_of_one && !room.dismiss(Some(address)) {
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
        let since = (false, room.count());
        room.silent.insert(since, id);
        room.taken.insert(id, Sitting { address, since: Some(since), leave: leave.clone() });
        *room.by_address.entry(address).or_default() += 1;
        Seat { seats: self.clone(), id, leave }
    }

    /// Sends the first of the silent away; false if nobody is silent.
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

    /// Takes the seat of the first who has to go, of this address or of all.
    fn dismiss(&mut self, of: Option<IpAddr>) -> bool {
        let theirs =
            |id: &u64| of.is_none_or(|a| self.taken.get(id).is_some_and(|s| s.address == a));
        let Some(id) = self.silent.values().copied().find(theirs) else { return false };
        let gone = self.free(id);
        if let Some(s) = &gone {
            s.leave.notify_one();
        }
        gone.is_some()
    }

    fn free(&mut self, id: u64) -> Option<Sitting> {
        let sitting = self.taken.remove(&id)?;
        if let Some(since) = sitting.since {
            self.silent.remove(&since);
        }
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

    /// A request has come; none if the seat is somebody else's by now, and then it is not begun.
    pub(super) fn busy(&self) -> Option<Busy> {
        let mut room = self.seats.room();
        let since = room.taken.get_mut(&self.id)?.since.take();
        if let Some(since) = since {
            room.silent.remove(&since);
        }
        Some(Busy { seats: self.seats.clone(), id: self.id })
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

impl Drop for Busy {
    fn drop(&mut self) {
        let mut room = self.seats.room();
        let since = (true, room.count());
        let Some(s) = room.taken.get_mut(&self.id) else { return };
        s.since = Some(since);
        room.silent.insert(since, self.id);
        drop(room);
        // Who waits for a seat may have this one.
        self.seats.0.freed.notify_one();
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

    #[tokio::test]
    async fn whoever_was_silent_longest_goes_and_whoever_is_served_stays() {
        let seats = Seats::new(4);
        let served = asked(&seats, 1);
        let busy = served.busy().unwrap();
        let (old, newer, newest) = (asked(&seats, 2), asked(&seats, 3), asked(&seats, 4));
        // It was answered, and may still be reading: it goes after those who never spoke.
        drop(busy);
        let next = asked(&seats, 5);
        assert!(is_gone(&old).await && old.busy().is_none(), "nothing is begun on a lost seat");
        drop(old);
        let another = asked(&seats, 6);
        assert!(is_gone(&newer).await);
        for s in [&served, &newest, &next, &another] {
            assert!(!is_gone(s).await);
        }
        assert_eq!(seats.room().taken.len(), 4);
        // Nor does it keep anybody out once all others are being served.
        let _all: Vec<Busy> = [&newest, &next, &another].map(|s| s.busy().unwrap()).into();
        let last = asked(&seats, 7);
        assert!(is_gone(&served).await && !is_gone(&last).await);
    }

    #[tokio::test]
    async fn one_address_has_half_and_gives_up_its_own_silent_ones_only() {
        let seats = Seats::new(4);
        let other = asked(&seats, 1);
        let (a, b) = (asked(&seats, 2), asked(&seats, 2));
        let c = asked(&seats, 2);
        assert!(is_gone(&a).await && !is_gone(&other).await);
        let held = (b.busy(), c.busy());
        assert!(matches!(seats.ask(from(2)), Asked::TooMany));
        assert!(seats.take(from(2)).await.is_none());
        drop(held);
        assert!(seats.take(from(2)).await.is_some());
    }

    #[tokio::test]
    async fn with_everybody_served_the_next_waits_for_the_first_to_end() {
        let seats = Seats::new(2);
        let (a, b) = (asked(&seats, 1), asked(&seats, 2));
        let (busy, _other) = (a.busy(), b.busy());
        let waiting = tokio::spawn({
            let seats = seats.clone();
            async move { seats.take(from(3)).await.is_some() }
        });
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert!(!waiting.is_finished() && !seats.make_room());
        drop(busy);
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
