/**
 * Web archives as documents: the pages (HTML, XHTML, plain text) of WARC `response` records, and the extracted
 * texts of WET `conversion` records. All other records (requests, metadata, images, ...) are no damage: they are
 * counted in `otherRecords` and passed over.
 */
import type { Document, ReadReport } from '../document.ts';
import { FileReader } from './file-reader.ts';
import { decodePage } from './html-charset.ts';
import { type HtmlOptions, pageDocument } from './html-reader.node.ts';
import { parseHttp } from './warc-http.node.ts';
import { type WarcRecord, warcRecords } from './warc-records.node.ts';

export interface WarcReaderOptions extends HtmlOptions {
  /** Longer records, and bodies that unpack to more, are skipped. Default 64 MiB. */
  maxRecordBytes?: number;
}

const defaultMaxRecordBytes = 64 * 1024 * 1024;
const maxOtherKinds = 100;
const htmlTypes: ReadonlySet<string> = new Set(['text/html', 'application/xhtml+xml']);

export class WarcReader extends FileReader<WarcReaderOptions> {
  #otherRecords: Record<string, number> = {};

  constructor(path: string, options: WarcReaderOptions = {}) {
    super(path, options);
  }

  /** Records of the latest `read` that are neither documents nor damage, by type, responses by media type. */
  get otherRecords(): Readonly<Record<string, number>> {
    return this.#otherRecords;
  }

  protected async *documents(report: ReadReport): AsyncGenerator<Document> {
    this.#otherRecords = {};
    const { maxRecordBytes = defaultMaxRecordBytes } = this.options;
    const decoder = new TextDecoder('utf-8', { fatal: true });
    for await (const record of warcRecords(this.path, report, maxRecordBytes)) {
      let document: Document | string | null;
      if (record.type === 'conversion') document = this.#conversion(record, decoder);
      else if (record.type === 'response') document = this.#response(record, maxRecordBytes);
      else document = this.#other(record.type || 'without a type');
      if (document === null) continue;
      if (typeof document === 'string') {
        report.skip(record.position, document);
      } else {
        report.numRead++;
        yield document;
      }
    }
  }

  #conversion(record: WarcRecord, decoder: TextDecoder): Document | string | null {
    const mediaType = mediaTypeOf(record.headers.get('content-type') ?? 'text/plain');
    if (!mediaType.startsWith('text/')) return this.#other(`conversion ${mediaType}`);
    let text: string;
    try {
      text = decoder.decode(record.content).trim();
    } catch {
      return 'not valid UTF-8';
    }
    if (text === '') return 'the record has no text';
    return { id: idOf(record), text, source: this.path, meta: { ...metaOf(record), mediaType } };
  }

  #response(record: WarcRecord, maxRecordBytes: number): Document | string | null {
    const isHttp = /^application\/http\b/i.test(record.headers.get('content-type') ?? 'application/http');
    if (!isHttp) return this.#other(`response ${mediaTypeOf(record.headers.get('content-type') ?? '')}`);
    const http = parseHttp(record.content, maxRecordBytes);
    if (typeof http === 'string') return http;
    const { status, contentType } = http;
    const mediaType = http.mediaType || record.headers.get('warc-identified-payload-type') || '';
    const isHtml = htmlTypes.has(mediaType);
    if (!isHtml && mediaType !== 'text/plain')
      return this.#other(`response ${mediaType || 'without a media type'}`);
    const body = http.body();
    if (typeof body === 'string') return body;
    const { text } = decodePage(body, contentType);
    const meta = { ...metaOf(record), mediaType, ...(status !== 200 && { httpStatus: status }) };
    const parts = { id: idOf(record), source: this.path, meta };
    if (isHtml) return pageDocument(text, parts, this.options);
    const plain = text.trim();
    return plain === '' ? 'the record has no text' : { ...parts, text: plain };
  }

  #other(named: string): null {
    // A hostile archive could name a new kind in every record.
    const isNew = !Object.hasOwn(this.#otherRecords, named);
    const kind = isNew && Object.keys(this.#otherRecords).length >= maxOtherKinds ? 'further kinds' : named;
    this.#otherRecords[kind] = (this.#otherRecords[kind] ?? 0) + 1;
    return null;
  }
}

/** The record's id without `<urn:uuid:` and `>`. */
function idOf({ headers, position }: WarcRecord): string {
  const id = headers.get('warc-record-id') ?? position;
  return id.replace(/^<?(?:urn:uuid:)?/, '').replace(/>$/, '');
}

function metaOf({ headers }: WarcRecord): Document['meta'] {
  const meta: Document['meta'] = {};
  const url = headers.get('warc-target-uri');
  const date = headers.get('warc-date');
  const language = headers.get('warc-identified-content-language');
  const truncated = headers.get('warc-truncated');
  if (url !== undefined) meta.url = url.replace(/^<|>$/g, '');
  if (date !== undefined) meta.date = date;
  if (language !== undefined) meta.warcLanguage = language;
  if (truncated !== undefined) meta.truncated = truncated;
  return meta;
}

function mediaTypeOf(contentType: string): string {
  return contentType.split(';', 1)[0]!.trim().toLowerCase();
}
