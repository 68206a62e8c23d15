package process

import "encoding/binary"

// A message travels as one or more records of at most recordSize bytes: a
// header of the message's number, the record's index and the count of records,
// then the data. A process that starts to read in the middle of a message, or
// whose peer died in the middle of one, skips to the next message.
const (
	headerSize = 12
	recordSize = 32 << 10
	// maxRecords bounds the memory that one message can claim.
	maxRecords = 64 << 20 / recordSize
)

// fragments calls write for each record of the message.
func fragments(number uint32, data []byte, write func([]byte) error) error {
	const room = recordSize - headerSize
	count := max(1, (len(data)+room-1)/room)
	buf := make([]byte, 0, min(recordSize, headerSize+len(data)))
	for i := range count {
		part := data[i*room : min(len(data), (i+1)*room)]
		buf = binary.BigEndian.AppendUint32(buf[:0], number)
		buf = binary.BigEndian.AppendUint32(buf, uint32(i))
		buf = binary.BigEndian.AppendUint32(buf, uint32(count))
		buf = append(buf, part...)
		if err := write(buf); err != nil {
			return err
		}
	}
	return nil
}

// assembler puts records together. Anything that does not continue the message
// it is at drops that message.
type assembler struct {
	number, next, count uint32
	data                []byte
}

// add takes one record and returns the message that it completes.
func (a *assembler) add(record []byte) ([]byte, bool) {
	if len(record) < headerSize {
		return nil, false
	}
	number := binary.BigEndian.Uint32(record)
	index := binary.BigEndian.Uint32(record[4:])
	count := binary.BigEndian.Uint32(record[8:])
	if count == 0 || count > maxRecords {
		*a = assembler{}
		return nil, false
	}
	if index == 0 {
		*a = assembler{number: number, count: count}
	} else if number != a.number || index != a.next || count != a.count {
		*a = assembler{}
		return nil, false
	}
	a.data = append(a.data, record[headerSize:]...)
	a.next = index + 1
	if a.next < a.count {
		return nil, false
	}
	data := a.data
	*a = assembler{}
	return data, true
}
