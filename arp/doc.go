// Package arp owns the question "who answers for this address": it announces
// addresses that this host has taken over, so that neighbours and switches
// follow at once, and it asks the segment who has an address.
//
// When to announce is a pure schedule; the Announcer is the one loop that
// follows it, with one packet socket per interface and family. Each round sends
// both forms of gratuitous ARP, since there are neighbours that heed only one of
// them:
//
//   - the request form, an ARP announcement by RFC 5227 section 2.3: sender and
//     target address are the announced one, the target hardware address is zero;
//   - the reply form of RFC 5944 section 4.6, where the target hardware address
//     is the sender's.
//
// An IPv6 address is announced by an unsolicited neighbour advertisement (RFC 4861
// section 7.2.6) with the router and override flags that RFC 9568 section 6.4.1
// asks for.
//
// Who holds which address is decided elsewhere.
package arp
