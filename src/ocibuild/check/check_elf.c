#include "ocibuild/check/check_elf.h"

#include <elf.h>
#include <stdio.h>
#include <string.h>

struct file {
	const uint8_t *p;
	size_t n;
	Elf64_Ehdr head;
};

/* Of the dynamic section. */
struct dyn {
	uint64_t strtab, strsz, flags, flags_1, jmprel;
	uint64_t soname, rpath;
	bool has_soname, has_rpath, textrel, bind_now;
};

static bool inside(const struct file *f, uint64_t off, uint64_t size)
{
	return off <= f->n && size <= f->n - off;
}

static bool segment(const struct file *f, unsigned i, Elf64_Phdr *out)
{
	uint64_t at = f->head.e_phoff + (uint64_t)i * sizeof(*out);

	if (f->head.e_phoff > f->n || !inside(f, at, sizeof(*out)))
		return false;
	memcpy(out, f->p + at, sizeof(*out));
	return true;
}

/* Where an address is in the file. */
static bool offset_of(const struct file *f, uint64_t addr, uint64_t *off)
{
	Elf64_Phdr ph;

	for (unsigned i = 0; i < f->head.e_phnum && segment(f, i, &ph); i++) {
		if (ph.p_type == PT_LOAD && addr >= ph.p_vaddr && addr - ph.p_vaddr < ph.p_filesz &&
		    inside(f, ph.p_offset, ph.p_filesz)) {
			*off = ph.p_offset + (addr - ph.p_vaddr);
			return true;
		}
	}
	return false;
}

/* The string at an offset, when it ends within the file and is not empty. */
static const char *text(const struct file *f, uint64_t off)
{
	size_t max = CHECK_ELF_TEXT;

	if (off >= f->n)
		return NULL;
	if (max > f->n - off)
		max = f->n - off;
	return f->p[off] && memchr(f->p + off, '\0', max) ? (const char *)f->p + off : NULL;
}

static bool copy_text(const struct file *f, uint64_t off, char out[static CHECK_ELF_TEXT])
{
	const char *s = text(f, off);

	if (s)
		snprintf(out, CHECK_ELF_TEXT, "%s", s);
	return s != NULL;
}

static void take_dyn(struct dyn *d, const Elf64_Dyn *x)
{
	switch (x->d_tag) {
	case DT_STRTAB:
		d->strtab = x->d_un.d_ptr;
		break;
	case DT_STRSZ:
		d->strsz = x->d_un.d_val;
		break;
	case DT_FLAGS:
		d->flags = x->d_un.d_val;
		break;
	case DT_FLAGS_1:
		d->flags_1 = x->d_un.d_val;
		break;
	case DT_JMPREL:
		d->jmprel = x->d_un.d_ptr;
		break;
	case DT_TEXTREL:
		d->textrel = true;
		break;
	case DT_BIND_NOW:
		d->bind_now = true;
		break;
	case DT_SONAME:
		d->has_soname = true;
		d->soname = x->d_un.d_val;
		break;
	case DT_RPATH:
	case DT_RUNPATH:
		d->has_rpath = true;
		d->rpath = x->d_un.d_val;
		break;
	default:
		break;
	}
}

static bool next_dyn(const struct file *f, const Elf64_Phdr *ph, size_t i, Elf64_Dyn *out)
{
	if ((i + 1) * sizeof(*out) > ph->p_filesz)
		return false;
	memcpy(out, f->p + ph->p_offset + i * sizeof(*out), sizeof(*out));
	return out->d_tag != DT_NULL;
}

static bool read_dynamic(const struct file *f, const Elf64_Phdr *ph, struct check_elf *out)
{
	struct dyn d = {0};
	uint64_t table = 0;
	Elf64_Dyn x;
	bool names;

	if (!inside(f, ph->p_offset, ph->p_filesz))
		return false;
	for (size_t i = 0; next_dyn(f, ph, i, &x); i++)
		take_dyn(&d, &x);
	names = d.strtab && offset_of(f, d.strtab, &table) && inside(f, table, d.strsz);
	for (size_t i = 0; next_dyn(f, ph, i, &x); i++) {
		if (x.d_tag != DT_NEEDED)
			continue;
		if (!names || out->needs == CHECK_ELF_NEEDED || x.d_un.d_val >= d.strsz)
			return false;
		out->needed[out->needs] = text(f, table + x.d_un.d_val);
		if (!out->needed[out->needs])
			return false;
		out->needs++;
	}
	if ((d.has_soname && (!names || !copy_text(f, table + d.soname, out->soname))) ||
	    (d.has_rpath && (!names || !copy_text(f, table + d.rpath, out->rpath))))
		return false;
	out->textrel = d.textrel || (d.flags & DF_TEXTREL);
	out->lazy = d.jmprel && !d.bind_now && !(d.flags & DF_BIND_NOW) && !(d.flags_1 & DF_1_NOW);
	out->program = out->program || (d.flags_1 & DF_1_PIE);
	if (names && d.strsz) {
		static const char fortified[] = "_chk";

		out->canary = memmem(f->p + table, d.strsz, "__stack_chk_fail", 17);
		out->fortify = memmem(f->p + table, d.strsz, fortified, sizeof(fortified));
	}
	return true;
}

static bool read_segments(const struct file *f, struct check_elf *out)
{
	Elf64_Phdr ph;
	bool stack = false, lost = f->head.e_phentsize != sizeof(ph);

	for (unsigned i = 0; !lost && i < f->head.e_phnum; i++) {
		if (!segment(f, i, &ph))
			return false;
		switch (ph.p_type) {
		case PT_LOAD:
			lost = !inside(f, ph.p_offset, ph.p_filesz);
			out->rwx = out->rwx || (ph.p_flags & (PF_W | PF_X)) == (PF_W | PF_X);
			break;
		case PT_INTERP:
			lost = !copy_text(f, ph.p_offset, out->interp);
			out->program = true;
			break;
		case PT_DYNAMIC:
			lost = !read_dynamic(f, &ph, out);
			break;
		case PT_GNU_RELRO:
			out->relro = true;
			break;
		case PT_GNU_STACK:
			stack = true;
			out->exec_stack = ph.p_flags & PF_X;
			break;
		default:
			break;
		}
	}
	/* without the mark the kernel and the loader make it executable */
	out->exec_stack = out->exec_stack || !stack;
	return !lost && f->head.e_phnum;
}

/* Sections are only looked at for their names, and may be missing. */
static void read_sections(const struct file *f, struct check_elf *out)
{
	Elf64_Shdr names, sh;
	uint64_t at = f->head.e_shoff + (uint64_t)f->head.e_shstrndx * sizeof(sh);

	if (!f->head.e_shoff || f->head.e_shoff > f->n || f->head.e_shentsize != sizeof(sh) ||
	    !inside(f, at, sizeof(sh)))
		return;
	memcpy(&names, f->p + at, sizeof(names));
	for (unsigned i = 0; i < f->head.e_shnum; i++) {
		const char *s;

		at = f->head.e_shoff + (uint64_t)i * sizeof(sh);
		if (!inside(f, at, sizeof(sh)) || names.sh_offset > f->n)
			return;
		memcpy(&sh, f->p + at, sizeof(sh));
		s = text(f, names.sh_offset + sh.sh_name);
		if (s && (strcmp(s, ".symtab") == 0 || strcmp(s, ".debug_info") == 0))
			out->symbols = true;
	}
}

/* A static program has no names left: what its libc says when a check fails is there
 * as soon as anything in it is checked. */
static void look_for_messages(const struct file *f, struct check_elf *out)
{
	static const char canary[] = "stack smashing detected";
	static const char fortify[] = "buffer overflow detected";

	out->canary = out->canary || memmem(f->p, f->n, canary, sizeof(canary) - 1);
	out->fortify = out->fortify || memmem(f->p, f->n, fortify, sizeof(fortify) - 1);
}

void check_elf_read(const uint8_t *p, size_t n, struct check_elf *out)
{
	struct file f = {.p = p, .n = n};

	*out = (struct check_elf){0};
	if (n < sizeof(f.head)) {
		out->malformed = true;
		return;
	}
	memcpy(&f.head, p, sizeof(f.head));
	if (f.head.e_ident[EI_CLASS] != ELFCLASS64 || f.head.e_ident[EI_DATA] != ELFDATA2LSB ||
	    f.head.e_machine != EM_X86_64) {
		out->foreign = true;
		return;
	}
	out->object = f.head.e_type == ET_REL;
	out->fixed = f.head.e_type == ET_EXEC;
	out->program = out->fixed;
	if (!out->object && !read_segments(&f, out)) {
		*out = (struct check_elf){.malformed = true};
		return;
	}
	out->dynamic = out->interp[0] || out->needs;
	read_sections(&f, out);
	if (out->program && !out->dynamic)
		look_for_messages(&f, out);
}
