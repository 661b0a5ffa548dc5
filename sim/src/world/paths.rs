//! What lies between hosts: links, translators, taps, load balancers, blackholes.

use peregrine::Instant;

use super::World;
use crate::link::Link;
use crate::nat::Nat;
use crate::network::{Datagram, HostId, TapId, Verdict};
use crate::trace::Trace;
use crate::words::{addr, ip};

impl World {
    /// All paths behave like this, unless a narrower rule is given later.
    pub fn links(&mut self, link: Link) {
        self.network.link(None, None, link);
    }

    /// Paths to this address and from it behave like this.
    pub fn links_of(&mut self, address: &str, link: Link) {
        let address = ip(address);
        self.network.link(Some(address), None, link.clone());
        self.network.link(None, Some(address), link);
    }

    /// Datagrams from one address (any, if `None`) to another travel like this.
    pub fn one_way(&mut self, from: Option<&str>, to: Option<&str>, link: Link) {
        self.network.link(from.map(ip), to.map(ip), link);
    }

    /// Puts a translator in front of the hosts it names. Hosts have at most one, and translators have public addresses
    /// of their own: where two claim the same, the first has it.
    pub fn nat(&mut self, nat: Nat) {
        self.network.nat(nat);
    }

    /// The translator in front of a host forgets all mappings, and moves to another public address if one is given.
    ///
    /// # Panics
    ///
    /// When the host stands behind none.
    pub fn rebind_nat(&mut self, host: HostId, public: Option<&str>) {
        let inside = self.hosts[host.0].address().ip();
        self.network.rebind_nat(inside, public.map(ip));
    }

    /// Nothing that is sent to this address or from it arrives, until it is [mended](Self::mend). What is on its way
    /// does.
    pub fn cut(&mut self, address: &str) {
        self.network.cut(ip(address));
    }

    /// Ends a [cut](Self::cut): the links of this address behave as they did.
    pub fn mend(&mut self, address: &str) {
        self.network.mend(ip(address));
    }

    /// Shows this every datagram, with its public addresses, as it is sent, and does what it says, until it is
    /// [taken away](Self::untap). Each tap sees what those before it let pass.
    pub fn tap(&mut self, tap: impl FnMut(Instant, &Datagram) -> Verdict + 'static) -> TapId {
        self.network.tap(Box::new(tap))
    }

    /// Takes a tap away; nothing happens if it was taken away before.
    pub fn untap(&mut self, tap: TapId) {
        self.network.untap(tap);
    }

    /// From here come copies of what others sent, sooner than the originals perhaps: an answer to a challenge among them
    /// proves the address that was challenged (RFC 9000, Section 8.2.2), though nothing came from there.
    pub fn relay(&mut self, address: &str) {
        self.watch.on_relay(addr(address));
    }

    /// Puts a load balancer in front of all hosts; where it says nothing, a datagram goes to who holds its address.
    pub fn balance(&mut self, balancer: impl FnMut(&Datagram) -> Option<HostId> + 'static) {
        self.network.balance(Box::new(balancer));
    }

    /// Puts a datagram on the network, whoever it claims to come from. Taps see it, and it runs along the link between
    /// its addresses.
    pub fn inject(&mut self, datagram: Datagram) {
        self.network.put(self.now, datagram);
    }

    /// What was sent so far.
    pub fn trace(&self) -> &Trace {
        &self.network.trace
    }
}
