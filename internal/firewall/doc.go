// Package firewall reads what netfilter would do with a packet: the rules of
// nftables (which are also those of iptables-nft) and of the old iptables. It
// follows a packet through them as the kernel does, without sending any.
//
// What a rule looks at and this package does not know makes its answer uncertain,
// never wrong. It changes nothing and loads no module.
package firewall
