//! The unified kernel image: the stub of systemd-boot with kernel, command line and initramfs as
//! further sections of one PE file, which one signature covers (UAPI group, specification "Unified
//! Kernel Image").

use anyhow::{Context, Result, ensure};

/// One section to add.
#[derive(Clone, Copy, Debug)]
pub struct Section<'a> {
    /// Name, at most 8 bytes.
    pub name: &'a str,
    /// What is in it.
    pub bytes: &'a [u8],
}

const SECTION_HEADER: usize = 40;
/// IMAGE_SCN_CNT_INITIALIZED_DATA and IMAGE_SCN_MEM_READ.
const READ_ONLY_DATA: u32 = 0x4000_0040;

/// The stub with its new sections, each at an address of its own after the stub's last one.
///
/// # Errors
/// When the stub is no PE32+ file, or has no room for the headers.
pub fn assemble(stub: &[u8], sections: &[Section]) -> Result<Vec<u8>> {
    let headers = Headers::read(stub)?;
    let mut image = stub.to_vec();
    image.resize(image.len().next_multiple_of(headers.file_alignment), 0);
    let mut address = headers.end_of_memory(stub)?;
    let mut at = headers.table + headers.count * SECTION_HEADER;
    let room = headers.size_of_headers.min(headers.first_data(stub)?);
    let needed = at + sections.len() * SECTION_HEADER;
    ensure!(needed <= room, "the stub has no room for {} more sections", sections.len());
    for section in sections {
        let start = image.len();
        image.extend(section.bytes);
        image.resize(image.len().next_multiple_of(headers.file_alignment), 0);
        let raw = image.len() - start;
        let header = section_header(section, address, raw, start)?;
        image[at..at + SECTION_HEADER].copy_from_slice(&header);
        at += SECTION_HEADER;
        address = (address + section.bytes.len()).next_multiple_of(headers.section_alignment);
    }
    let count = (headers.count + sections.len()) as u16;
    image[headers.pe + 6..headers.pe + 8].copy_from_slice(&count.to_le_bytes());
    put(&mut image, headers.optional + 56, address)?;
    Ok(image)
}

fn section_header(
    section: &Section,
    address: usize,
    raw: usize,
    start: usize,
) -> Result<[u8; SECTION_HEADER]> {
    let mut header = [0; SECTION_HEADER];
    let name = section.name.as_bytes();
    ensure!(name.len() <= 8, "section name {} is too long", section.name);
    header[..name.len()].copy_from_slice(name);
    for (at, value) in [(8, section.bytes.len()), (12, address), (16, raw), (20, start)] {
        put(&mut header, at, value)?;
    }
    header[36..].copy_from_slice(&READ_ONLY_DATA.to_le_bytes());
    Ok(header)
}

/// Where things are in a PE file (Microsoft, "PE Format").
struct Headers {
    pe: usize,
    optional: usize,
    table: usize,
    count: usize,
    section_alignment: usize,
    file_alignment: usize,
    size_of_headers: usize,
}

impl Headers {
    fn read(file: &[u8]) -> Result<Self> {
        let pe = word(file, 0x3c)?;
        ensure!(file.get(pe..pe + 4) == Some(b"PE\0\0"), "the stub is no PE file");
        let optional = pe + 24;
        ensure!(half(file, optional)? == 0x20b, "the stub is no PE32+ file");
        let (section_alignment, file_alignment) =
            (word(file, optional + 32)?, word(file, optional + 36)?);
        ensure!(section_alignment > 0 && file_alignment > 0, "the stub has no alignment");
        Ok(Self {
            pe,
            optional,
            table: optional + half(file, pe + 20)?,
            count: half(file, pe + 6)?,
            section_alignment,
            file_alignment,
            size_of_headers: word(file, optional + 60)?,
        })
    }

    fn section(&self, number: usize) -> usize {
        self.table + number * SECTION_HEADER
    }

    fn end_of_memory(&self, file: &[u8]) -> Result<usize> {
        let mut end = self.size_of_headers;
        for header in (0..self.count).map(|number| self.section(number)) {
            end = end.max(word(file, header + 12)? + word(file, header + 8)?);
        }
        Ok(end.next_multiple_of(self.section_alignment))
    }

    fn first_data(&self, file: &[u8]) -> Result<usize> {
        let mut first = file.len();
        for header in (0..self.count).map(|number| self.section(number)) {
            let start = word(file, header + 20)?;
            if start > 0 {
                first = first.min(start);
            }
        }
        Ok(first)
    }
}

fn word(file: &[u8], at: usize) -> Result<usize> {
    let bytes = file.get(at..at + 4).context("the stub is cut short")?;
    Ok(u32::from_le_bytes(bytes.try_into()?) as usize)
}

fn half(file: &[u8], at: usize) -> Result<usize> {
    let bytes = file.get(at..at + 2).context("the stub is cut short")?;
    Ok(u16::from_le_bytes(bytes.try_into()?).into())
}

fn put(file: &mut [u8], at: usize, value: usize) -> Result<()> {
    let value: u32 = value.try_into().context("the image reaches 4 GiB")?;
    file.get_mut(at..at + 4)
        .context("the stub is cut short")?
        .copy_from_slice(&value.to_le_bytes());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use object::{Object, ObjectSection};

    /// A PE32+ file with one section of 16 bytes at 0x1000.
    fn stub() -> Vec<u8> {
        let mut file = vec![0; 0x400];
        file[..2].copy_from_slice(b"MZ");
        file[0x3c] = 0x80;
        file[0x80..0x84].copy_from_slice(b"PE\0\0");
        file[0x84..0x86].copy_from_slice(&0x8664u16.to_le_bytes());
        file[0x86] = 1;
        file[0x94] = 240;
        let optional = 0x98;
        file[optional..optional + 2].copy_from_slice(&0x20bu16.to_le_bytes());
        for (at, value) in [(32, 0x1000), (36, 0x200), (56, 0x2000), (60, 0x200), (108, 16)] {
            put(&mut file, optional + at, value).unwrap();
        }
        let section = Section { name: ".text", bytes: &[1; 16] };
        let header = section_header(&section, 0x1000, 0x200, 0x200).unwrap();
        file[optional + 240..][..SECTION_HEADER].copy_from_slice(&header);
        file
    }

    #[test]
    fn the_new_sections_are_read_back_apart_from_each_other() {
        let kernel = vec![7; 0x2345];
        let sections = [
            Section { name: ".linux", bytes: &kernel },
            Section { name: ".initrd", bytes: b"cpio" },
        ];
        let image = assemble(&stub(), &sections).unwrap();
        let file = object::read::pe::PeFile64::parse(&image[..]).unwrap();
        let found: Vec<_> = file.sections().map(|s| (s.name().unwrap(), s.address())).collect();
        assert_eq!(found, [(".text", 0x1000), (".linux", 0x2000), (".initrd", 0x5000)]);
        let data = |name| file.section_by_name(name).unwrap().data().unwrap();
        assert_eq!(data(".linux"), kernel);
        assert_eq!(data(".initrd"), b"cpio");
        assert_eq!(word(&image, 0x98 + 56).unwrap(), 0x6000, "size in memory");
    }

    #[test]
    fn what_is_no_stub_is_refused() {
        assert!(assemble(b"MZ", &[]).is_err());
        assert!(assemble(&[0; 4096], &[]).is_err());
        let many = [Section { name: ".x", bytes: b"" }; 3];
        let error = assemble(&stub(), &many).unwrap_err();
        assert!(error.to_string().contains("no room"), "{error}");
        let long = [Section { name: ".too-long-a-name", bytes: b"" }];
        assert!(assemble(&stub(), &long).is_err());
    }
}
