import { serve } from '../../served.mjs'

export const dynamic = 'force-dynamic'

export async function GET() {
  return new Response(await serve())
}
