import type { landscape as en } from '../en/landscape';

export const landscape: Record<keyof typeof en, string> = {
  'landscape.map': '{n} 个特征的地图；相邻者对模型的写入相近',
  'landscape.help':
    '方向键移动，加号和减号缩放，0 显示全部。会读出离中心最近的特征；回车键打开它。S 键选中视野内的全部。',
  'landscape.none': '尚无特征有位置',
  'landscape.none.remedy': '请运行 `safesail atlas landscape`，为图谱中的特征安排位置。',
  'landscape.colour': '着色依据',
  'landscape.colour.domain': '领域',
  'landscape.colour.layer': '层',
  'landscape.colour.score': '得分',
  'landscape.search': '按解释高亮',
  'landscape.found': '{n} 个匹配',
  'landscape.found.many': '{n} 个匹配，高亮前 {shown} 个',
  'landscape.sae': 'SAE',
  'landscape.sae.all': '全部 SAE',
  'landscape.pan': '移动',
  'landscape.lasso': '套索',
  'landscape.zoom.in': '放大',
  'landscape.zoom.out': '缩小',
  'landscape.whole': '显示全部',
  'landscape.view': '选中视野',
  'landscape.selected': '已选 {n} 个',
  'landscape.selected.none': '未选中特征',
  'landscape.selected.remedy': '用套索圈出特征，或按住 Shift 拖动。使用键盘时按 S。',
  'landscape.clear': '清除',
  'landscape.more': '显示更多',
  'landscape.renderer.webgl': '用 WebGL 绘制',
  'landscape.renderer.canvas': '用二维画布绘制',
  'landscape.of': '所属 SAE（套索每次只取一个）',
  'landscape.overlaid':
    '每个 SAE 各有一张地图，此处叠放在一起：两个 SAE 的点相邻并不说明它们有关。',
  'landscape.note':
    '相似的特征彼此靠近：依据解码方向，没有权重时依据解释文本。跨越地图的距离没有意义。',
};
