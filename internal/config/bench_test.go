package config

import (
	"fmt"
	"strings"
	"testing"
)

// BenchmarkLoad reads 10,000 services with four real servers each: all of them, and
// those that are different.
func BenchmarkLoad(b *testing.B) {
	large := func(weight int) []*source {
		var text strings.Builder
		text.WriteString("[[vrrp]]\nname = \"edge\"\ninterface = \"eth0\"\nrouter_id = 51\npriority = 100\naddresses = [\"192.0.2.150/24\"]\n")
		for i := range 10000 {
			fmt.Fprintf(&text, "\n[[service]]\nname = \"s%05d\"\nlisten = [\"192.0.2.150:%d\"]\nscheduler = \"wrr\"\n", i, 10000+i)
			for j := range 4 {
				fmt.Fprintf(&text, "[[service.real]]\naddress = \"10.2.%d.%d\"\nweight = %d\n", i/250, (i*4+j)%250+1, weight)
			}
			weight = 1
		}
		return textsOf(text.String())
	}
	b.Run("all", func(b *testing.B) {
		for b.Loop() {
			if _, err := loadSources(large(1), testHost()); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("one weight", func(b *testing.B) {
		before, err := loadSources(large(1), testHost())
		if err != nil {
			b.Fatal(err)
		}
		after := large(2)
		for b.Loop() {
			if _, ok := loadChanged(after, testHost(), before); !ok {
				b.Fatal("all were read")
			}
		}
	})
}
