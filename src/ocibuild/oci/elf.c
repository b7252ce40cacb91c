#include "ocibuild/oci/elf.h"

#include <elf.h>
#include <string.h>

struct file {
	const uint8_t *p;
	size_t n;
	Elf64_Ehdr head;
};

bool elf_is(const uint8_t *p, size_t n)
{
	return n >= SELFMAG && memcmp(p, ELFMAG, SELFMAG) == 0;
}

static int bad(struct err *e)
{
	return err_set(e, ERR_PACKAGE, "a malformed ELF file");
}

static bool inside(const struct file *f, uint64_t off, uint64_t size)
{
	return off <= f->n && size <= f->n - off;
}

static bool program_header(const struct file *f, unsigned i, Elf64_Phdr *out)
{
	uint64_t at = f->head.e_phoff + (uint64_t)i * sizeof(*out);

	if (f->head.e_phoff > f->n || !inside(f, at, sizeof(*out)))
		return false;
	memcpy(out, f->p + at, sizeof(*out));
	return inside(f, out->p_offset, out->p_filesz) || out->p_type != PT_LOAD;
}

/* The string at an offset, when it ends within the file. */
static const char *text(const struct file *f, uint64_t off)
{
	if (off >= f->n || !memchr(f->p + off, '\0', f->n - off))
		return NULL;
	return (const char *)f->p + off;
}

/* Where an address is in the file. */
static bool offset_of(const struct file *f, uint64_t addr, uint64_t *off)
{
	Elf64_Phdr ph;

	for (unsigned i = 0; i < f->head.e_phnum; i++) {
		if (!program_header(f, i, &ph))
			return false;
		if (ph.p_type == PT_LOAD && addr >= ph.p_vaddr && addr - ph.p_vaddr < ph.p_filesz) {
			*off = ph.p_offset + (addr - ph.p_vaddr);
			return true;
		}
	}
	return false;
}

/* The value of the first entry with this tag. */
static bool dynamic_value(const struct file *f, const Elf64_Phdr *dyn, int64_t tag, uint64_t *v)
{
	for (uint64_t at = 0; at + sizeof(Elf64_Dyn) <= dyn->p_filesz; at += sizeof(Elf64_Dyn)) {
		Elf64_Dyn d;

		memcpy(&d, f->p + dyn->p_offset + at, sizeof(d));
		if (d.d_tag == DT_NULL)
			break;
		if (d.d_tag == tag) {
			*v = d.d_un.d_val;
			return true;
		}
	}
	return false;
}

static int read_dynamic(const struct file *f, const Elf64_Phdr *dyn, struct elf_needs *out,
			struct err *e)
{
	uint64_t addr, table;

	if (!inside(f, dyn->p_offset, dyn->p_filesz))
		return bad(e);
	/* a static-pie program has the segment, but needs nothing */
	if (!dynamic_value(f, dyn, DT_NEEDED, &addr))
		return 0;
	if (!dynamic_value(f, dyn, DT_STRTAB, &addr) || !offset_of(f, addr, &table))
		return bad(e);
	for (uint64_t at = 0; at + sizeof(Elf64_Dyn) <= dyn->p_filesz; at += sizeof(Elf64_Dyn)) {
		Elf64_Dyn d;

		memcpy(&d, f->p + dyn->p_offset + at, sizeof(d));
		if (d.d_tag == DT_NULL)
			break;
		if (d.d_tag != DT_NEEDED)
			continue;
		if (out->n == ELF_MAX_NEEDED || d.d_un.d_val > f->n)
			return bad(e);
		out->needed[out->n] = text(f, table + d.d_un.d_val);
		if (!out->needed[out->n] || strchr(out->needed[out->n], '/'))
			return bad(e);
		out->n++;
	}
	return 0;
}

int elf_read(const uint8_t *p, size_t n, struct elf_needs *out, struct err *e)
{
	struct file f = {.p = p, .n = n};
	Elf64_Phdr ph;

	*out = (struct elf_needs){0};
	if (n < sizeof(f.head) || !elf_is(p, n))
		return bad(e);
	memcpy(&f.head, p, sizeof(f.head));
	if (f.head.e_ident[EI_CLASS] != ELFCLASS64 || f.head.e_ident[EI_DATA] != ELFDATA2LSB ||
	    f.head.e_machine != EM_X86_64)
		return err_set(e, ERR_PACKAGE, "an ELF file that is not for x86-64");
	/* an object file has no program headers */
	for (unsigned i = 0; i < f.head.e_phnum; i++) {
		if (f.head.e_phentsize != sizeof(ph) || !program_header(&f, i, &ph))
			return bad(e);
		if (ph.p_type == PT_INTERP && !(out->interp = text(&f, ph.p_offset)))
			return bad(e);
		if (ph.p_type == PT_DYNAMIC && read_dynamic(&f, &ph, out, e))
			return -1;
	}
	return 0;
}
